"""The operators that a program may use: ATen arithmetic on its own tensors, and integer arithmetic on sizes.

Left out on purpose: whatever reads or writes files, memory that was never written (`empty`: it would carry
the provider's memory into an update), storages and strides (`set_`, `resize_`, `as_strided`), other devices,
streams, printing, higher-order operators, and every namespace but `aten`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import torch

from node.errors import BadPackage

_ELEMENTWISE = """
abs acos acosh add addcdiv addcmul asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not
bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clip copysign cos cosh div divide
elu eq erf erfc erfinv exp exp2 expm1 floor floor_divide fmax fmin fmod frac ge gelu glu greater greater_equal gt
hardshrink hardsigmoid hardswish hardtanh heaviside hypot isfinite isinf isnan le leaky_relu lerp less less_equal
lgamma log log10 log1p log2 log_sigmoid logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit
lt masked_fill maximum minimum mish mul multiply nan_to_num ne neg negative not_equal positive pow prelu
reciprocal relu relu6 remainder round rrelu rsqrt rsub selu sgn sigmoid sign signbit silu sin sinc sinh softplus
softshrink sqrt square sub subtract tan tanh threshold true_divide trunc where xlogy
"""

_REDUCTIONS = """
all amax amin aminmax any argmax argmin argsort cummax cummin cumprod cumsum frobenius_norm linalg_norm
linalg_vector_norm log_softmax logcumsumexp logsumexp max mean median min norm prod softmax sort std std_mean sum
topk var var_mean _log_softmax _softmax
"""

_SHAPES = """
adjoint alias atleast_1d atleast_2d broadcast_tensors broadcast_to cat chunk clone column_stack concat constant_pad_nd
contiguous detach diag diag_embed diagonal dstack expand expand_as flatten flip gather hstack index index_add
index_copy index_fill index_put index_select lift_fresh_copy masked_scatter meshgrid moveaxis movedim mT
narrow pad permute pixel_shuffle pixel_unshuffle repeat repeat_interleave reshape reshape_as roll rot90 scatter
scatter_add select slice slice_scatter split split_with_sizes squeeze stack swapaxes swapdims t tensor_split tile
transpose tril triu unbind unflatten unfold unsqueeze view view_as vstack _unsafe_view reflection_pad1d
reflection_pad2d replication_pad1d replication_pad2d channel_shuffle
"""

_LAYERS = """
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d addbmm addmm
addmv alpha_dropout avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bilinear binary_cross_entropy
binary_cross_entropy_with_logits bmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
convolution cosine_similarity cross_entropy_loss dot dropout einsum embedding feature_dropout
grid_sampler grid_sampler_2d group_norm gru huber_loss im2col col2im instance_norm inner kl_div l1_loss layer_norm
linear lstm matmul max_pool1d max_pool2d max_pool3d max_pool2d_with_indices mm mse_loss mv
nll_loss nll_loss_nd one_hot outer
rms_norm rnn_relu rnn_tanh scaled_dot_product_attention smooth_l1_loss upsample_bicubic2d upsample_bilinear2d
upsample_linear1d upsample_nearest1d upsample_nearest2d
"""

_MAKING = """
arange bernoulli eye fill full full_like linspace new_full new_ones new_zeros ones ones_like rand rand_like randint
randn randn_like scalar_tensor zero zeros zeros_like copy to type_as _to_copy
"""

_SIZES = "sym_size sym_numel sym_stride _assert_scalar _assert_tensor_metadata"

ALLOWED = frozenset(" ".join((_ELEMENTWISE, _REDUCTIONS, _SHAPES, _LAYERS, _MAKING, _SIZES)).split())
"""Names in `torch.ops.aten`. A trailing underscore (in place) is allowed where the name without it is."""


def _on_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, for plain numbers only: on a list or a text, `mul` would fill the memory."""

    def checked(*values: Any) -> Any:
        if not all(type(value) in (int, float, bool) for value in values):
            raise TypeError("arithmetic on sizes takes numbers only")
        return function(*values)

    return checked


_INTEGERS: dict[str, Callable[..., Any]] = {
    f"_operator.{name}": _on_numbers(getattr(operator, name))
    for name in ("add", "sub", "mul", "floordiv", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge")
} | {"torch.sym_max": _on_numbers(max), "torch.sym_min": _on_numbers(min)}

_ATEN = re.compile(r"torch\.ops\.aten\.([A-Za-z_][A-Za-z0-9_]{0,60})\.([A-Za-z_][A-Za-z0-9_]{0,60})")
_ADVICE = "Write the model without it, or with operators that fedbounty allows (docs/PROTOCOL.md, section 9)."


def integer_operator(target: str) -> Callable[..., Any] | None:
    """The function on plain integers that `target` names; None if it names none."""
    return _INTEGERS.get(target)


def tensor_operator(target: str, program: str) -> torch._ops.OpOverload[..., Any]:
    """The ATen operator that `target` names, as in `torch.ops.aten.linear.default`.

    Holds:  nothing is looked up before the name has passed the allow-list.
    Raises: BadPackage naming the operator.
    """
    match = _ATEN.fullmatch(target)
    if match is None:
        raise BadPackage(program, target, "not an ATen operator", _ADVICE)
    name, overload = match.groups()
    if name not in ALLOWED and name.removesuffix("_") not in ALLOWED:
        raise BadPackage(program, target, "the operator is not allowed", _ADVICE)
    packet = getattr(torch.ops.aten, name, None)
    if packet is None or overload not in packet.overloads() or overload.startswith("prim"):
        raise BadPackage(program, target, "there is no such operator", _ADVICE)
    found: torch._ops.OpOverload[..., Any] = getattr(packet, overload)
    schema = found._schema
    if name not in _SIZES.split() and not all("Tensor" in str(result.type) for result in schema.returns):
        raise BadPackage(program, target, "the operator does not give tensors", _ADVICE)  # aten.mul repeats lists too
    if any(a.kwarg_only and a.alias_info is not None and a.alias_info.is_write for a in schema.arguments):
        raise BadPackage(program, target, "operators that write to an `out` argument are not allowed", _ADVICE)
    return found
