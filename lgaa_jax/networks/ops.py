"""Convolutions and pooling, fast on CPU.

Images are NHWC, kernels square HWIO, padding SAME. A convolution, its input gradient and its kernel
gradient are each linear in both arguments, and the derivatives of each are the other two: three
functions make up the derivatives of every order. Forward mode (`jax.jvp`) does not pass through
`custom_vjp`. XLA's CPU backend is slow at these gradients, above all at the gradient penalty's and
in loops; for a CPU we write them as forward convolutions. For GPU and TPU they are those of
`jax.lax`. Which is taken is decided when a program is lowered, by the platform it is lowered for.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from lgaa_jax.networks.sums import wide

# XLA's own kernels and Eigen's instead of YNNPACK's, which are slower for our shapes.
CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}
DIMS = ("NHWC", "HWIO", "NHWC")
_lax_conv = functools.partial(lax.conv_general_dilated, dimension_numbers=DIMS)


@functools.cache
def compiler_options() -> dict[str, str]:
    """Options for `jax.jit` that make these convolutions fast here; none where XLA has no such."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=CPU_OPTIONS)()
    except jax.errors.JaxRuntimeError:  # an XLA that does not know the option
        return {}
    return CPU_OPTIONS


def conv(x: jax.Array, w: jax.Array, stride: int = 1) -> jax.Array:
    """Convolution of x: [B, H, W, I] with w: [K, K, I, O], K odd; stride 1 or 2."""
    _check(x, w, stride)
    if stride == 2 and w.shape[0] == 1:
        return _conv(x[:, ::2, ::2], w, 1)
    return _conv(x, w, stride)


def conv_transpose(x: jax.Array, w: jax.Array) -> jax.Array:
    """Transposed convolution of stride 2: x [B, H, W, I], w [3, 3, I, O] to [B, 2H, 2W, O].

    It is the input gradient of the convolution with the turned kernel.
    """
    if w.shape[:2] != (3, 3):
        raise ValueError(f"the kernel of a transposed convolution must be 3x3, got {w.shape}")
    return _input_grad(x, _turn(w), 2)


def max_pool(x: jax.Array) -> jax.Array:
    """2x2 max pooling of stride 2. Its gradient needs no scatter; equal pixels share it."""
    b, h, w, c = x.shape
    if h % 2 or w % 2:
        raise ValueError(f"2x2 pooling needs an even height and width, got {x.shape}")
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))


def plain_conv(x: jax.Array, w: jax.Array, stride: int) -> jax.Array:
    """`conv` by `jax.lax`."""
    return _lax_conv(x, w, (stride, stride), "SAME")


def plain_conv_transpose(x: jax.Array, w: jax.Array) -> jax.Array:
    """`conv_transpose` by `jax.lax`."""
    return lax.conv_transpose(x, w, (2, 2), "SAME", dimension_numbers=DIMS)


def _check(x: jax.Array, w: jax.Array, stride: int) -> None:
    if w.shape[0] != w.shape[1] or w.shape[0] % 2 == 0:
        raise ValueError(f"the kernel must be square and of odd size, got {w.shape}")
    if stride not in (1, 2):
        raise ValueError(f"stride must be 1 or 2, got {stride}")
    if stride == 2 and (x.shape[1] % 2 or x.shape[2] % 2):
        raise ValueError(f"stride 2 needs an even height and width, got {x.shape}")


def _turn(w: jax.Array) -> jax.Array:
    """The kernel turned half a circle, its inputs and outputs exchanged."""
    return w[::-1, ::-1].swapaxes(2, 3)


def _pad_before(k: int, stride: int) -> int:
    """Padding before the first pixel; SAME puts the odd one of stride 2 after the last."""
    return (k - stride) // 2


def _phase(k: int, parity: int) -> tuple[slice, tuple[int, int]]:
    """Taps of the turned kernel that reach pixels of this parity at stride 2, and their padding."""
    reach = parity + _pad_before(k, 2)
    first = (k - 1 - reach) % 2
    return slice(first, None, 2), ((k - 1 - first - reach) // 2, reach // 2)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(x: jax.Array, w: jax.Array, stride: int) -> jax.Array:
    return plain_conv(x, w, stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _input_grad(g: jax.Array, w: jax.Array, stride: int) -> jax.Array:
    """Gradient of <g, _conv(x, w)> in x."""
    plain, fast = (
        functools.partial(f, stride=stride) for f in (_plain_input_grad, _fast_input_grad)
    )
    return lax.platform_dependent(g, w, cpu=fast, default=plain)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _kernel_grad(x: jax.Array, g: jax.Array, k: int, stride: int) -> jax.Array:
    """Gradient of <g, _conv(x, w)> in w, which is k x k."""
    plain, fast = (
        functools.partial(f, k=k, stride=stride) for f in (_plain_kernel_grad, _fast_kernel_grad)
    )
    return lax.platform_dependent(x, g, cpu=fast, default=plain)


def _plain_input_grad(g: jax.Array, w: jax.Array, stride: int) -> jax.Array:
    b, h, width, _ = g.shape
    x = jax.ShapeDtypeStruct((b, stride * h, stride * width, w.shape[2]), g.dtype)
    return jax.linear_transpose(lambda x: plain_conv(x, w, stride), x)(g)[0]


def _plain_kernel_grad(x: jax.Array, g: jax.Array, k: int, stride: int) -> jax.Array:
    w = jax.ShapeDtypeStruct((k, k, x.shape[-1], g.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda w: plain_conv(x, w, stride), w)(g)[0]


def _fast_input_grad(g: jax.Array, w: jax.Array, stride: int) -> jax.Array:
    """For stride 2 each parity of pixels is a convolution."""
    w = _turn(w)
    if stride == 1:
        return plain_conv(g, w, 1)
    b, h, width, _ = g.shape

    def pixels(row: int, column: int) -> jax.Array:
        (rows, pad_rows), (columns, pad_columns) = (_phase(len(w), p) for p in (row, column))
        return _lax_conv(g, w[rows, columns], (1, 1), (pad_rows, pad_columns))

    y = jnp.stack([jnp.stack([pixels(i, j) for j in (0, 1)], 3) for i in (0, 1)], 2)
    return y.reshape(b, 2 * h, 2 * width, -1)


def _fast_kernel_grad(x: jax.Array, g: jax.Array, k: int, stride: int) -> jax.Array:
    """As a convolution whose images are the channels of x.

    Its kernel is g and its input channels are the batch. In this form XLA runs it with Eigen's
    convolution, in a loop too. Of stride 1 either operand may play the image: the narrower does, as
    to turn the other one moves whole pixels.
    """
    if stride == 1 and g.shape[-1] < x.shape[-1]:
        return _turn(_fast_kernel_grad(g, x, k, stride))
    before = _pad_before(k, stride)
    w = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        g.transpose(1, 2, 0, 3),
        window_strides=(1, 1),
        padding=((before, k - stride - before),) * 2,
        rhs_dilation=(stride, stride),
        dimension_numbers=DIMS,
        preferred_element_type=wide(x.dtype),
    )
    return w.transpose(1, 2, 0, 3).astype(x.dtype)


_conv.defvjp(
    lambda x, w, s: (_conv(x, w, s), (x, w)),
    lambda s, xw, g: (_input_grad(g, xw[1], s), _kernel_grad(xw[0], g, len(xw[1]), s)),
)
_input_grad.defvjp(
    lambda g, w, s: (_input_grad(g, w, s), (g, w)),
    lambda s, gw, x: (_conv(x, gw[1], s), _kernel_grad(x, gw[0], len(gw[1]), s)),
)
_kernel_grad.defvjp(
    lambda x, g, k, s: (_kernel_grad(x, g, k, s), (x, g)),
    lambda k, s, xg, w: (_input_grad(xg[1], w, s), _conv(xg[0], w, s)),
)
