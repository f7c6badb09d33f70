"""Define tensors of special kinds, for the tests."""

import torch


class LowRank(torch.Tensor):
    """Holds a matrix as two narrow ones."""

    @staticmethod
    def __new__(cls, left, right):
        return torch.Tensor._make_wrapper_subclass(cls, (left.shape[0], right.shape[1]), dtype=left.dtype)

    def __init__(self, left, right):
        self.left, self.right = left, right

    def __tensor_flatten__(self):
        return ["left", "right"], None

    @classmethod
    def __tensor_unflatten__(cls, inner, context, outer_size, outer_stride):
        return cls(inner["left"], inner["right"])

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.mm.default:
            return args[0] @ args[1].left @ args[1].right
        if func is torch.ops.aten.embedding.default:
            return torch.nn.functional.embedding(args[1], args[0].left) @ args[0].right
        assert func is torch.ops.aten.index_select.default
        return args[0].left.index_select(*args[1:]) @ args[0].right
