"""List exercises and answers of every kind, for the two checkers to judge alike."""

from fractions import Fraction

from flopbook.predict import B, D, H, K, axis
from flopbook.teaching import Exercise

EXERCISES = {
    "product": Exercise(2 * B * D * K, hints={"BDK": "Each is 2 FLOPs.", "2BD": "And the columns?", "2BDH": "No H."}),
    "count": Exercise(6_628_048_896, hints={6_860_574_720: "Nobody needs the data's gradient."}),
    "ratio": Exercise(Fraction(4_343_726_080, 2_284_322_816), hints={2: "The first layer costs once.", "1.95": "No."}),
    "share": Exercise("748062/78125", hints={"8.5751936": "Another one."}),
    "names": Exercise(2 * B * (D * axis("H1") + axis("H1") * K), hints={"B(D H1 + H1 K)": "MACs."}),
    "words": Exercise(2 * B * D * axis("D_in") * axis("width")),
    "alike": Exercise(2 * axis("Ab") * axis("aB")),
    "half": Exercise("12.25"),
    "other half": Exercise("12.35"),
    "cases": Exercise(2 * B * axis("b") * axis("H1")),
    "quotient": Exercise("(F/(2B) - D*H1) / (H1 + K)", hints={"(F/B - D*H1) / (H1 + K)": "Where is the 2?"}),
    "power": Exercise(H**2 * K / 3 - H, hints={"H^2 K/3": "And H?"}),
    "nothing": Exercise(0, hints={"2BHK": "That product is there, too."}),
    "negative": Exercise("-5/2"),
}

ANSWERS = [
    # a product, in its many forms
    "2BDK", "2*B*D*K", "2 B D K", "2·B·D·K", "2×B×D×K", "K D B 2", "BDK + BDK", "4BDK/2", "2B^2DK/B", "2B²DK/B",
    "(2B)(DK)", "2(B)DK", "-(-2BDK)", "2**1*B*D*K", "2BDK FLOPs", " 2BDK\n", "1/2 * 4BDK", "2.0BDK", "200% BDK",
    "2bdk", "2b*D*k flops", "2BDK.", "y = 2BDK", "n=2bdk FLOPs.", "2((B+D)^2 - B^2 - D^2)K/2",
    "2\u00a0B\u2009D\u202fK", "2BDK - 0", "2BDK^1", "B2DK", "2BDK·1e0", "2B D K FLOPs .", "2⋅B∙D–0K", "6BDK ÷ 3",
    "2BDK H/H", "2BDKB^0", r"2\times B \cdot DK", r"2\timesBDK", "2B[D][K]", "2B[DK)", "２＊Ｂ＊（DK）",
    "2 x BDK", "2 x (BDK)", "BDK ＋ BDK",
    # wrong ones, with a hint and without
    "BDK", "B D K", "D*B*2", "3BDK", "2BDH", "2BDH + 0", "B", "b", "2BD + K", "import os", "2BDK + H - H",
    "1/(B - 2)", "-2BDK", "2BDK GFLOPs", "2DBK/7", "K^3", "B^-1", "B^(-2) D", "(B+D)^2", "BH1", "BH2", "H_1", "H_12",
    "hH", "H1^2K", "BDK²³", "2BDK%",
    # counts
    "6628048896", "6,628,048,896", "6_628_048_896", "6,628,048,896 FLOPs", "25,890,816 * 256", "6628048896.0",
    "6.628 GFLOPs", "6.63GFLOPs", "6,628 MFLOPs", "6628 Mflop", "6.6 GFLOPs", "6.62 GFLOPs", "6.63 MFLOPs",
    "7 GFLOPs", "6 628 MFLOPs", "6.63 G", "6.86 GFLOPs", "6*4466520*256", "6628048896.1", "6.63e9", "6.6e+9", "66e8",
    "663e-2 GFLOPs", "0.663e10", "7e9 FLOPs", "6.62e9", "6.86e9", "6.63 e9", "6.63e 9", ".663e10", "6.63e999",
    "6.6280e9", "6628048895", "7", "7e9", "0.0066 TFLOPs", "6.63 Gbytes",
    "6 628 048 896", "6.628×10^9", "6.63*10^9", "6.63 x 10^9", "6.628 × 10⁹", "663*10**7", "7*10^9", "6.62 x 10^9",
    "6 x 4466520 x 256", "25,890,816 X 256", "6 628 04", "0006 628", "1 0245",
    # ratios, rounded and not
    "8285/4357", "1.9015", "1.90", "1.9", "190.15%", "1.90.", "ratio = 1.90", "1.91", "1.9014", "1.901539", "2-0.1",
    "1", "2", "2.0", ".2", "5/3.", "1.95", "9.58", "9.5751936", "9.6", "9.575", "957.5%", "8.5751936", "8.58", "8.6",
    "1/3", "0.333333333333333333", "123456.7890123456", "-2.5", "−2.5", "-5/2", "-2.50", "2.5", "-2.4", "0", "-0",
    "0.0", "1e-9", "1e99", "190.2e-2", "190.1e-2", "1.2e-99", "-25e-1", "-24e-1", "50%", ".5%",
    "190%", "190 %", "190.2\u00a0%", "958 %", "191 %", "190 % FLOPs", "2 B % D",
    "1.90 days", "9.58 Day", "9.6 hours", "2BDK hours", "12 %%",
    # letters with names
    "2B(D H1 + H1 K)", "2BH1(D+K)", "2 B H_1 (D + K)", "2H1B(K+D)", "2b h_1 (d + k)", "2bh1d + 2h1bk",
    "2B D_in width", "2Bwidth D_in", "2bwidthd_in", "2Bbh1", "2bbH1", "2BBH1", "BDH1 + BH1K", "width2", "D_in2",
    "F/(2B) - D H1", "(F/(2B) - D*H1)/(H1+K)", "(F - 2 B D H1)/(2B(H1 + K))", "(F/B - D*H1) / (H1 + K)", "H²K/3 - H",
    "H(HK/3 - 1)", "H^2 K/3", "1/3 H**2 K - H", "(H^2K - 3H)/3", "HHK/3-H", "2BHK",
    # limits
    "12.2", "12.3", "12.4", "12.25", "12.35", "123456789.123456", "123456789.1234567", "2^3333", "2^3334", "2^5000",
    "2AbaB", "2abAB", "2ABab", "2BDD_inwidth", "2B D D_in width",
    # no formula
    "", " ", "y =", ".", "2BD(K", "2BDK)", "2 // B", "2 ** B", "()", "()2", "-()", "(", "* B", "(*B)", "2 B +", "+",
    "y = z = 2BDK", "= 2", "1,9015", "1 024", "2/0", "2/(B-B)", "1/(B*(D+1) - B*D - B)", "0^(-1)", "(B-B)^-1", "0^0",
    "(B-B)^0", "2^B", "2^(1/2)", "B^(D/D)", "B^(4/2)", "9^9^9^9", "2^9999", "((((B^99)^99)^99)^99)", "((B^99)^3)",
    "__import__('os')", "2\x00", "٣BDK", "2\ufeff", "1e5B", "1.5.2", "2e", "it's \"so\"", "it's", "B_", "_", "B__2",
    "two", "Two", "seven million FLOPs", "560 billion", "TWO", "bone", "1.", "..", "1..", "%", "5%%", "FLOPs",
    "GFLOPs", "2 FLOPs FLOPs", "2 k FLOPs", "2kFLOPs", "(2)MFLOPs", "50% FLOPs", "¼", "2\\B", "2\tB\r\nD K", "𝟚BDK",
    "😀", "(" * 999, "(" * 149 + "2" + ")" * 149, "-" * 250 + "2", "1" * 290, "1" * 301, "B" * 300, "B^" * 99 + "1",
    "2^" * 99 + "1",
]  # fmt: skip
