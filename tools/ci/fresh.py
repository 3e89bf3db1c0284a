"""Read the JSON of `codex run --json` and fail unless every stage was fresh."""

import json
import sys


def verdict(text: str) -> tuple[bool, str]:
    """Whether every stage was fresh, and one line that says so or names the others."""
    try:
        answer = json.loads(text)
    except json.JSONDecodeError as error:
        return False, f"no JSON object from codex run: {error}"
    if answer["exit"] != 0:
        return False, f"codex run ended with {answer['exit']}: {answer['errors']}"
    stages = answer["stages"]
    others = [f"{stage['name']} {stage['state']} ({'; '.join(stage['why'])})" for stage in stages if not _fresh(stage)]
    if others or not stages:
        return False, f"not fresh: {', '.join(others) or 'no stage at all'}"
    return True, f"all {len(stages)} stages are fresh: {', '.join(stage['name'] for stage in stages)}"


def _fresh(stage: dict[str, str]) -> bool:
    return stage["state"] == "fresh"


def main() -> int:
    """Judge standard input; 1 if something ran again."""
    good, line = verdict(sys.stdin.read())
    print(line, file=sys.stdout if good else sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
