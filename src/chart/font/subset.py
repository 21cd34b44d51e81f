"""Cuts Noto Sans CJK SC Regular down to the characters of Rampant's charts; see README.md."""

import sys

from fontTools import subset
from fontTools.ttLib import TTCollection

source, target = sys.argv[1:3]
collection = TTCollection(source)
font = next(f for f in collection.fonts if f["name"].getDebugName(4) == "Noto Sans CJK SC")

latin = [*range(0x20, 0x7F), *range(0xA0, 0x180)]
greek = [*range(0x391, 0x3AA), *range(0x3B1, 0x3CA)]
signs = [*range(0x2010, 0x2028), *range(0x2030, 0x203B), *range(0x2070, 0x2090), *range(0x2190, 0x21A0)]
maths = [ord(c) for c in "−×÷±≈≠≤≥∞√∑∏∂∆∅∈∩∪⋅△▲▼◆●○■□★☆✓℃‰"]
# Rows 1 and 3 of GB2312 are punctuation and full-width forms, rows 16 to 55 the 3,755 characters of level 1.
rows = [1, 3, *range(16, 56)]
cells = [bytes([0xA0 + row, 0xA0 + cell]) for row in rows for cell in range(1, 95)]
chinese = [ord(c) for cell in cells for c in cell.decode("gb2312", "ignore")]

options = subset.Options(
    layout_features=[],
    hinting=False,
    desubroutinize=False,
    name_IDs=[0, 1, 2, 3, 4, 6, 13, 14],
    name_languages=[0x409],
    notdef_outline=True,
    glyph_names=False,
    drop_tables=["BASE", "VORG", "vhea", "vmtx", "GPOS", "GSUB", "GDEF", "DSIG"],
)
# The Chinese cut has these as wide as a Chinese character, which tears holes into English; the Korean one does not.
korean = next(f for f in collection.fonts if f["name"].getDebugName(4) == "Noto Sans CJK KR")
for table in font["cmap"].tables:
    for code in map(ord, "·‘’“”…"):
        if code in table.cmap:
            table.cmap[code] = korean.getBestCmap()[code]

cutter = subset.Subsetter(options)
cutter.populate(unicodes={*latin, *greek, *signs, *maths, *chinese})
cutter.subset(font)

names = {1: "Rampant Sans", 2: "Regular", 3: "Rampant Sans Regular", 4: "Rampant Sans", 6: "RampantSans-Regular"}
for record in font["name"].names:
    if record.nameID in names:
        record.string = names[record.nameID]
top = font["CFF "].cff
top.fontNames = ["RampantSans-Regular"]
top.topDictIndex[0].rawDict.update({"FullName": "Rampant Sans", "FamilyName": "Rampant Sans"})
for key in ("FullName", "FamilyName"):
    setattr(top.topDictIndex[0], key, "Rampant Sans")
font.flavor = None
font["head"].modified = font["head"].created
font.recalcTimestamp = False
font.save(target)
