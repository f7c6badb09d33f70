"""Count pointwise arithmetic, apart from contractions.

The convention: an operator does one operation for each element of its result
(a reduction, for each element it reduces), whether that is an addition or an
exponential. PyTorch marks such operators. The tables below are for operators
that do more than one, for those that PyTorch does not mark, and for those
whose one operation is a transcendental function. A comparison counts where
its result is a number, as in a maximum; where it is a truth value or an index,
it does not.
"""

from torch import Tensor

from flopbook.measure.operators.arithmetic import (
    SPARSE,
    complex_elements,
    each_element,
    each_result,
    elements,
    of_result,
)
from flopbook.measure.operators.names import pointwise, transcendental

#: What operators do for each element of their first argument.
EACH_ELEMENT = {
    "subtract, multiply, add": "lerp",
    "square, sum": "norm linalg_vector_norm",
    "mask, scale": "native_dropout _fused_dropout",
    "subtract, square, sum": "mse_loss dist",
    "mean, subtract, square, sum": "var std var_mean std_mean",
    "maximum, subtract, exponential, sum, divide": "_softmax _safe_softmax _sparse_softmax",
    "maximum, subtract, exponential, sum, subtract sum": "_log_softmax _sparse_log_softmax",
    "multiply, sum, subtract, scale": "_softmax_backward_data _sparse_softmax_backward_data",
    "exponential, sum, multiply, subtract": "_log_softmax_backward_data _sparse_log_softmax_backward_data",
    "subtract, exponential, sum": "logsumexp",
    "square, sum, scale": "renorm",
    "sum": """
        cumsum _sparse_sum _adaptive_avg_pool2d _adaptive_avg_pool3d col2im unfold_backward
        embedding_dense_backward histc""",
    "multiply": "cumprod _amp_foreach_non_finite_check_and_unscale_ _amp_update_scale_",
    "logarithm": "logcumsumexp",
    "maximum": "cummax cummin max min adaptive_max_pool2d adaptive_max_pool3d sort topk kthvalue median nanmedian mode",
    "minimum, maximum": "aminmax",
    "subtract, weigh, sum": "smooth_l1_loss huber_loss",
    "logarithm, logarithm of the rest, multiply, multiply the rest, add": "binary_cross_entropy",
    "multiply, exponential, add, logarithm, sum": "soft_margin_loss binary_cross_entropy_with_logits",
    "subtract, add, maximum, scale, sum": "multi_margin_loss multilabel_margin_loss_forward",
}

#: What operators do for each element of their result.
EACH_RESULT = {
    "exponential": """
        exp exp2 expm1 elu mish silu softplus log_sigmoid_forward elu_backward mish_backward silu_backward
        softplus_backward log_sigmoid_backward celu selu""",
    "logarithm": """
        log log10 log1p log2 logaddexp logaddexp2 logit xlogy lgamma special_xlog1py special_entr digamma
        polygamma special_zeta""",
    "root": "sqrt rsqrt hypot",
    "sine": "sin cos tan asin acos atan atan2 sinc polar sinh cosh asinh acosh atanh",
    "sigmoid": "sigmoid glu glu_backward",
    "tanh": "tanh erf erfc erfinv gelu special_erfcx special_ndtri special_log_ndtr gelu_backward",
    "multiply": """
        hardswish leaky_relu prelu _prelu_kernel _prelu_kernel_backward rrelu_with_noise
        rrelu_with_noise_backward leaky_relu_backward hardswish_backward hardsigmoid_backward
        smooth_l1_loss_backward huber_loss_backward binary_cross_entropy_backward""",
    "maximum": "hardtanh hardtanh_backward hardshrink_backward softshrink_backward",
    "divide": """
        floor_divide avg_pool2d_backward avg_pool3d_backward _adaptive_avg_pool2d_backward
        _adaptive_avg_pool3d_backward""",
    "add": "adaptive_max_pool2d_backward adaptive_max_pool3d_backward",
    "subtract, scale": "mse_loss_backward",
    "multiply, add": "addr",
    "multiply, multiply the others, subtract": "linalg_cross",
    "exponential, add, divide": "soft_margin_loss_backward",
    "compare, scale, add": "multi_margin_loss_backward multilabel_margin_loss_backward",
}

for _steps, _names in EACH_ELEMENT.items():
    each_element(_steps, *_names.split())
for _steps, _names in EACH_RESULT.items():
    each_result(_steps, *_names.split())


@pointwise("add", "sub", "rsub")
def add(out, first, second=None, *_, alpha=1, **__):
    """1 addition for each element of the result, or that a sparse second operand stores; 1 to scale it before."""
    is_sparse = isinstance(second, Tensor) and second.layout in SPARSE
    result = second if is_sparse else first if out is None else out
    return (1 + (alpha != 1)) * elements(result)


@pointwise("mul")
def multiply(out, first, *_, **__):
    """1 for each element of the result; for a complex one 4 multiplications and 2 additions."""
    result = first if out is None else out
    return of_result(result) + 4 * complex_elements(result)


@pointwise("div")
def divide(out, first, *_, **__):
    """1 for each element of the result; for a complex one 6 multiplications, 3 additions and 2 divisions."""
    result = first if out is None else out
    return of_result(result) + 9 * complex_elements(result)


@pointwise("abs")
def absolute(out, first, *_, **__):
    """1 for each element of the result; of a complex number 2 squares, their sum and its root."""
    return elements(first if out is None else out) + 3 * complex_elements(first)


@transcendental("abs")
def root_of_absolute(out, first, *_, **__):
    """1 root for each complex number."""
    return complex_elements(first)


@transcendental("pow")
def power(out, base, exponent=None, *_, **__):
    """1 for each element of the result; none for exponents that PyTorch runs as products: -2, -1, 1, 2 and 3."""
    easy = isinstance(exponent, (int, float)) and exponent in {-2, -1, 1, 2, 3}
    return 0 if easy else elements(base if out is None else out)


@pointwise("addcmul", "addcdiv")
def add_product(out, first, second, third, scale=1, *, value=1):
    """2 for each element: multiply or divide, add; 3 where the product is scaled."""
    scaled = not isinstance(scale, (int, float)) or scale != 1 or value != 1
    return (2 + scaled) * elements(first)


@pointwise("trace")
def trace(out, matrix):
    """1 addition for each element of the diagonal."""
    return min(matrix.shape) if elements(out) else 0
