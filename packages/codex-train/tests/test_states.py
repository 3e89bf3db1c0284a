"""States: whatever state_dict gives comes back as it was, bit for bit and type for type, through files."""

from __future__ import annotations

from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from codex_core.errors import ConfigError
from codex_train.states import join, part, tensor_shapes
from codex_train.tensor_files import write_tensors

DTYPES = [
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint16,
    torch.uint32,
    torch.uint64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex64,
    torch.float8_e4m3fn,
]


def through_files(value: object, folder: Path) -> Any:  # Any: what it was
    import json

    told, tensors = part(value, "it")
    write_tensors(folder / "it.safetensors", tensors)
    return join(json.loads(json.dumps(told, allow_nan=False)), load_file(folder / "it.safetensors"))


def assert_same(one: Any, other: Any) -> None:  # Any: states of every kind
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.contiguous().flatten().view(torch.uint8).tolist() == other.flatten().view(torch.uint8).tolist()
    elif isinstance(one, np.ndarray | np.generic):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    elif isinstance(one, dict):
        assert list(one) == list(other)
        assert [type(key) for key in one] == [type(key) for key in other]
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_same(first, second)
    else:
        assert repr(one) == repr(other)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(24.0).view(2, 3, 2, 2).contiguous(memory_format=torch.channels_last),
        torch.arange(6.0).view(2, 3, 1, 1).contiguous(memory_format=torch.channels_last),
        torch.arange(6).view(2, 3).t(),
    ],
)
def test_a_tensor_comes_back_in_the_order_in_which_it_lies_in_memory(tensor: torch.Tensor, tmp_path: Path) -> None:
    found = through_files({"a": tensor}, tmp_path)["a"]
    assert (found.stride(), torch.equal(found, tensor)) == (tensor.stride(), True)


@pytest.mark.parametrize(
    "tensor", [torch.ones(3, 1).expand(3, 4), torch.arange(8)[::2], torch.arange(7).unfold(0, 3, 2)]
)
def test_a_view_that_does_not_fill_its_memory_comes_back_with_memory_of_its_own(
    tensor: torch.Tensor, tmp_path: Path
) -> None:
    found = through_files({"a": tensor}, tmp_path)["a"]
    assert (found.is_contiguous(), torch.equal(found, tensor)) == (True, True)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)], ids=str)
def test_a_tensor_of_any_type_and_shape_comes_back(dtype: torch.dtype, shape: tuple[int, ...], tmp_path: Path) -> None:
    bits = torch.randint(0, 2, (*shape, torch.empty((), dtype=dtype).element_size()), dtype=torch.uint8)
    tensor = bits.bool()[..., 0] if dtype == torch.bool else bits.view(dtype)[..., 0]
    assert_same({"t": tensor}, through_files({"t": tensor}, tmp_path))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.lists(inner).map(tuple)
            | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), inner)
            | st.dictionaries(st.text(), inner).map(OrderedDict)
        ),
        max_leaves=20,
    )
)
def test_plain_values_come_back_with_their_types(value: object) -> None:
    told, tensors = part(value, "it")
    assert tensors == {}
    assert_same(value, join(told, tensors))


def test_arrays_and_their_scalars_come_back(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.uint32).reshape(2, 3).T
    array.flags.writeable = False
    value = {"a": array, "s": np.float64(0.1), "c": Counter([7, 15, 15])}
    found = through_files(value, tmp_path)
    assert found["a"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert (type(found["s"]), found["s"], found["c"]) == (np.float64, 0.1, Counter([7, 15, 15]))


def test_tied_weights_are_each_kept(tmp_path: Path) -> None:
    tied = torch.randn(3)
    assert_same({"in": tied, "out": tied}, through_files({"in": tied, "out": tied}, tmp_path))


def test_keys_that_hold_dots_do_not_hide_one_another(tmp_path: Path) -> None:
    value = {"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}}
    assert_same(value, through_files(value, tmp_path))


def optimisers(parameters: list[nn.Parameter]) -> list[torch.optim.Optimizer]:
    def groups() -> list[dict[str, Any]]:  # Any: as torch has it
        return [{"params": parameters[:1], "lr": 0.5}, {"params": parameters[1:]}]

    return [
        torch.optim.SGD(groups(), lr=0.1, momentum=0.9, nesterov=True),
        torch.optim.Adam(groups(), lr=0.1, amsgrad=True),
        torch.optim.AdamW(groups(), lr=torch.tensor(0.1)),
        torch.optim.RMSprop(groups(), lr=0.1, centered=True),
    ]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_an_optimiser_comes_back_exactly(number: int, dtype: torch.dtype, tmp_path: Path) -> None:
    parameters = [nn.Parameter(torch.randn(4, 3, dtype=dtype)), nn.Parameter(torch.randn(2, dtype=dtype))]
    opt = optimisers(parameters)[number]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    opt.step()
    found = through_files(opt.state_dict(), tmp_path)
    assert_same(opt.state_dict(), found)
    fresh = optimisers(parameters)[number]
    fresh.load_state_dict(found)
    assert_same(opt.state_dict(), fresh.state_dict())


def test_schedulers_come_back_exactly(tmp_path: Path) -> None:
    schedulers = torch.optim.lr_scheduler
    opt = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    for made in (
        schedulers.CosineAnnealingLR(opt, 10),
        schedulers.MultiStepLR(opt, [2, 2, 5]),
        schedulers.ReduceLROnPlateau(opt),
        schedulers.OneCycleLR(opt, 1.0, total_steps=9),
        schedulers.SequentialLR(opt, [schedulers.ConstantLR(opt), schedulers.ExponentialLR(opt, 0.9)], [3]),
    ):
        assert_same(made.state_dict(), through_files(made.state_dict(), tmp_path))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": [object()]}, "opt.a.0 is a object, which a checkpoint cannot hold"),
        ({"a": {1, 2}}, "opt.a is a set, which a checkpoint cannot hold"),
        ({"a": b"bytes"}, "opt.a is a bytes, which a checkpoint cannot hold"),
        ({"a": np.array(["text"])}, "opt.a is an array of <U4, which a checkpoint cannot hold"),
        ({"a": torch.zeros(1, device="meta")}, "opt.a is on meta, and this release resumes exactly on the CPU only"),
        (torch.eye(2).to_sparse(), "opt is a torch.float32 tensor of layout torch.sparse_coo, which a checkpoint"),
    ],
)
def test_what_cannot_be_kept_is_named(value: object, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        part(value, "opt")
    assert caught.value.message.startswith(told)


def test_shapes_are_told_as_a_person_reads_them() -> None:
    assert dict(tensor_shapes(nn.Linear(3, 2).state_dict())) == {"weight": "float32 [2, 3]", "bias": "float32 [2]"}
