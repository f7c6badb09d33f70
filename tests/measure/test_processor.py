"""Test reading what callgrind wrote, and what instructions compute."""

import shutil
import struct

import pytest

from flopbook.measure.processor import Executed
from flopbook.measure.processor.callgrind import NOWHERE, Place, read
from flopbook.measure.processor.instructions import flops, kind, operation
from flopbook.measure.processor.machine_code import listed

#: Of a dump that callgrind 3.19 wrote of a torch.add, shortened.
DUMP = """\
# callgrind format
version: 1
creator: callgrind-3.19.0
cmd:  python programs.py marks.so pointwise 1000
part: 1

desc: Timerange: Basic block 0 - 6385
desc: Trigger: Client Request: add

positions: instr line
events: Ir
summary: 29685

ob=marks.so
fl=???
fn=begin
0x1152 0 1
0x1157 0 1

ob=_ctypes.so
fl=callproc.c
fn=ConvParam
0xf9c1 651 1
cob=libpython3.11.so
cfi=stgdict.c
cfn=PyObject_stgdict
calls=1 0x13d90 204
0xf9c9 653 9
0xf9c9 653 1
fi=object.h
0xf9ce 654 2
fe=callproc.c
0xf9c1 651 4

ob=???
fl=???
fn=0x0000000005c3d000
0x5c3d000 0 7
"""


def test_a_dump_is_read_without_what_calls_cost():
    assert read(DUMP) == (
        "add",
        {
            Place("marks.so", "begin", 0x1152): 1,
            Place("marks.so", "begin", 0x1157): 1,
            Place("_ctypes.so", "ConvParam", 0xF9C1): 5,
            Place("_ctypes.so", "ConvParam", 0xF9C9): 1,
            Place("_ctypes.so", "ConvParam", 0xF9CE): 2,
            Place(NOWHERE, "0x0000000005c3d000", 0x5C3D000): 7,
        },
    )


@pytest.mark.parametrize("line", ["+4 651 1", "* 651 1", "651 1"])
def test_a_dump_without_plain_addresses_is_refused(line):
    message = f"{line!r} has no address: run callgrind with --dump-instr=yes --compress-strings=no --compress-pos=no"
    with pytest.raises(ValueError) as refused:
        read(DUMP + line)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("instruction", "does", "count"),
    [
        ("addss %xmm1,%xmm0", "add, subtract", 1),
        ("subsd 0x8(%rax),%xmm0", "add, subtract", 1),
        ("mulps %xmm1,%xmm0", "multiply", 4),
        ("mulpd %xmm1,%xmm0", "multiply", 2),
        ("vaddps %ymm15,%ymm4,%ymm4", "add, subtract", 8),
        ("vhaddpd %ymm2,%ymm1,%ymm0", "add, subtract", 4),
        ("vdivps (%rdi,%rax,4),%ymm0,%ymm1", "divide", 8),
        ("vsqrtsd %xmm0,%xmm0,%xmm0", "square root", 1),
        ("vmaxps %ymm1,%ymm0,%ymm0", "minimum, maximum", 8),
        ("vroundps $0x0,%ymm0,%ymm1", "round", 8),
        ("vrsqrtps %ymm0,%ymm1", "reciprocal", 8),
        ("vfmadd231ps %ymm0,%ymm2,%ymm4", "fused multiply-add", 16),
        ("vfnmadd213pd %xmm0,%xmm2,%xmm4", "fused multiply-add", 4),
        ("vfmsub132ss -0x80(%rcx,%rbx,2),%xmm2,%xmm1", "fused multiply-add", 2),
        ("vfmaddsub213ps %ymm0,%ymm2,%ymm4", "fused multiply-add", 16),
        ("faddp %st,%st(1)", "add, subtract", 1),
        ("fmull 0x8(%rsp)", "multiply", 1),
        ("fdivrp %st,%st(1)", "divide", 1),
        ("frndint", "round", 1),
    ],
)
def test_arithmetic_is_one_flop_a_lane_and_two_where_it_is_fused(instruction, does, count):
    assert (operation(instruction), flops(instruction), flops(kind(instruction))) == (does, count, count)


@pytest.mark.parametrize(
    "instruction",
    [
        "add %rax,%rbx",
        "rep movsq %ds:(%rsi),%es:(%rdi)",
        "bnd jmp *0x2f75(%rip)",
        "vmovups %ymm4,(%r14)",
        "vbroadcastss -0x80(%rcx),%ymm2",
        "vextractf128 $0x1,%ymm0,%xmm1",
        "vcvtps2pd %xmm0,%ymm0",
        "ucomisd %xmm1,%xmm0",
        "vxorps %ymm4,%ymm4,%ymm4",
        "vpaddd %ymm1,%ymm0,%ymm0",
        "vpermilps $0x4e,%ymm0,%ymm1",
        "vpabsd %ymm1,%ymm0",
        "prefetcht0 -0x40(%rcx)",
        "vzeroupper",
        "fldt 0x10(%rsp)",
        "fnstcw 0x6(%rsp)",
        "fxch %st(1)",
    ],
)
def test_moves_conversions_comparisons_bits_and_integers_take_none(instruction):
    assert operation(instruction) is None and flops(instruction) == 0


@pytest.mark.parametrize("instruction", ["vdpps $0xf1,%xmm1,%xmm0,%xmm0", "vpfoo %xmm0,%xmm1", "fyl2x", "fsin"])
def test_what_no_rule_names_is_unknown_and_no_zero(instruction):
    assert operation(instruction) == "unknown"
    with pytest.raises(ValueError) as refused:
        flops(instruction)
    assert str(refused.value) == (
        f"no rule says what {instruction!r} computes: add one to flopbook.measure.processor.instructions"
    )


def test_unknown_instructions_are_listed_and_have_no_sum():
    ran = Executed({("libm.so", "log", "fyl2x"): 3, ("libm.so", "log2", "fyl2x"): 2, ("a", "b", "addss xmm"): 1}, 9, 0)
    assert ran.unknown == {"fyl2x": 5}
    with pytest.raises(ValueError, match="fyl2x"):
        _ = ran.flops


def test_fused_are_those_of_matrix_products():
    ran = Executed({("a", "sgemm_kernel", "vfmadd231ps ymm"): 2, ("a", "exp", "vfmadd231ps ymm"): 1}, 3, 0)
    assert (ran.fused, ran.flops, ran.by_function()) == (32, 48, {"sgemm_kernel in a": 32, "exp in a": 16})


def test_json_keeps_everything():
    ran = Executed({("a", "f", "addss xmm"): 3, ("a", "f", "mulss xmm"): 1}, 9, 2)
    assert Executed.from_json(ran.to_json()) == ran


#: vfmadd231ps %ymm0,%ymm2,%ymm4; addss %xmm1,%xmm0; ret
CODE = bytes.fromhex("c4e26db8e0 f30f58c1 c3")


@pytest.fixture
def program(tmp_path):
    """Write the smallest ELF program: a header, one part at 0x4000, and code."""
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    part = struct.pack("<IIQQQQQQ", 1, 5, 120, 0x4000, 0x4000, len(CODE), len(CODE), 1)
    path = tmp_path / "program"
    path.write_bytes(header + part + CODE)
    return path


@pytest.mark.skipif(not shutil.which("objdump"), reason="there is no objdump: apt-get install binutils")
def test_instructions_are_found_by_their_addresses(program):
    assert listed(program, [0x4005, 0x4000, 0x4009]) == {
        0x4000: "vfmadd231ps %ymm0,%ymm2,%ymm4",
        0x4005: "addss  %xmm1,%xmm0",
        0x4009: "ret",
    }
    places = {
        Place(str(program), "void f<int>(long)", 0x4000): 2,
        Place(str(program), "g", 0x4005): 3,
        Place(NOWHERE, "", 0): 4,
    }
    ran = Executed.read(places)
    assert ran == Executed({("program", "f", "vfmadd231ps ymm"): 2, ("program", "g", "addss xmm"): 3}, 9, 4)


def test_an_address_without_code_is_refused(program):
    with pytest.raises(ValueError) as refused:
        listed(program, [0x400A])
    assert str(refused.value) == f"{str(program)!r} has no code at 0x400a"


def test_a_file_without_machine_code_is_refused(tmp_path):
    (tmp_path / "text").write_text("no program")
    with pytest.raises(ValueError) as refused:
        listed(tmp_path / "text", [0])
    assert str(refused.value) == f"{str(tmp_path / 'text')!r} is not a program or library for x86-64"
