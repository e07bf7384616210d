"""The words of the two sample shops. A project is what a customer works through, its products in the order of need."""

from dataclasses import dataclass
from typing import NamedTuple


class Style(NamedTuple):
    """How a line of products is made: words of the title, what it is made of or comes in, what is said of it."""

    words: tuple[str, ...]
    finishes: tuple[str, ...]
    promise: str


# A make holds the three styles that every product comes in; what they do to the price is the same for all.
PRICE_FACTORS = (1.3, 0.8, 1.9)

_SMALL = "Weighs next to nothing and stows away small"
_SIMPLE = "Simple, fairly priced and easy to handle"
_STRONG = "Built for hard use in all weathers and guaranteed for ten years"

FABRIC = (
    Style(("lightweight", "compact", "ultralight"), ("ripstop nylon", "mesh", "fine-spun polyamide"), _SMALL),
    Style(("classic", "everyday", "family"), ("polyester", "cotton blend", "recycled fibre"), _SIMPLE),
    Style(("heavy-duty", "professional", "reinforced"), ("double-layer nylon", "coated fabric", "aramid"), _STRONG),
)
HARD = (
    Style(("lightweight", "compact", "slimline"), ("aluminium", "carbon fibre", "thin-walled alloy"), _SMALL),
    Style(("classic", "everyday", "all-round"), ("coated steel", "recycled plastic", "wood and steel"), _SIMPLE),
    Style(("heavy-duty", "professional", "reinforced"), ("stainless steel", "forged steel", "brass"), _STRONG),
)
SUPPLY = (
    Style(("concentrated", "compact", "handy"), ("pocket size", "pack of 2", "small box"), "A little goes a long way"),
    Style(("classic", "everyday", "simple"), ("family pack", "pack of 6", "economy box"), "Fairly priced and reliable"),
    Style(
        ("extra-rich", "professional", "premium"), ("trade pack", "pack of 24", "large box"), "What the trade relies on"
    ),
)
PLANT = (
    Style(("slender", "compact", "dwarf"), ("3-litre pot", "root-wrapped", "paper pot"), "Stays small on any terrace"),
    Style(
        ("classic", "everyday", "cottage"), ("5-litre pot", "bare-rooted", "coir pot"), "Easy to grow and fairly priced"
    ),
    Style(("vigorous", "professional", "hardy"), ("15-litre pot", "root ball", "oak tub"), "Hardy in all weathers"),
)
Make = tuple[Style, Style, Style]


class Product(NamedTuple):
    """A kind of product: ``price`` in euros, ``use`` completes "for …"."""

    noun: str
    department: str
    price: float
    use: str
    make: Make


@dataclass(frozen=True)
class Project:
    """The products of a project by stage: as many as there are stages, the last one used up and bought again."""

    name: str
    brands: tuple[str, ...]
    products: tuple[Product, ...]


@dataclass(frozen=True)
class ShopVocabulary:
    name: str
    id_prefix: str
    projects: tuple[Project, ...]


# What a description says at each stage of a project, in either shop: it is by this that the shops are related.
STAGES: tuple[tuple[str, ...], ...] = (
    ("The place to start.", "Where every beginner begins.", "First on the list of a new hobby."),
    ("The base that everything else rests on.", "Lay it down before anything else follows.", "A sound basis."),
    ("The heart of the kit.", "The piece that you will reach for most.", "Makes the set complete enough to go."),
    ("Does the daily work.", "The workhorse between spring and autumn.", "Takes the effort out of the routine."),
    ("Keeps everything in its place.", "Puts order into your equipment.", "The companion that ties the set together."),
    ("The finishing touch.", "For those who have the rest already.", "A comfort that you will not want to miss."),
    ("Used up and soon needed again.", "Keep a spare one at home.", "The refill for the whole season."),
)

COLOURS = ("forest green", "slate grey", "ochre", "navy", "black", "rust red", "sand", "olive", "sky blue", "plum")

OUTDOOR = ShopVocabulary(
    "outdoor",
    "OUT",
    (
        Project(
            "camping",
            ("Northfell", "Ambergrove", "Tarnway", "Kestrel & Sons"),
            (
                Product("dome tent", "shelter", 189, "two to four sleepers", FABRIC),
                Product("sleeping mat", "sleeping", 59, "warm nights on cold ground", FABRIC),
                Product("sleeping bag", "sleeping", 99, "three seasons", FABRIC),
                Product("gas stove", "cooking", 49, "a hot supper anywhere", HARD),
                Product("nesting cook set", "cooking", 39, "meals for a whole table", HARD),
                Product("LED lantern", "lighting", 29, "long evenings outside", HARD),
                Product("gas cartridge", "supplies", 7, "stoves with a screw valve", SUPPLY),
            ),
        ),
        Project(
            "hiking",
            ("Northfell", "Tarnway", "Brackenhill", "Lumi Outdoor"),
            (
                Product("hiking boots", "footwear", 149, "rocky paths", FABRIC),
                Product("merino socks", "footwear", 19, "blister-free miles", FABRIC),
                Product("trekking rucksack", "packs", 129, "a week on the trail", FABRIC),
                Product("trekking poles", "walking aids", 69, "steep descents", HARD),
                Product("rain cover", "packs", 17, "sudden showers", FABRIC),
                Product("seat cushion", "comfort", 14, "a rest on wet stone", FABRIC),
                Product("oat energy bars", "supplies", 12, "the last climb of the day", SUPPLY),
            ),
        ),
        Project(
            "angling",
            ("Ambergrove", "Kestrel & Sons", "Rivermark", "Brackenhill"),
            (
                Product("fishing rod", "rods and reels", 79, "lakes and slow rivers", HARD),
                Product("spinning reel", "rods and reels", 64, "smooth casts", HARD),
                Product("braided line", "rods and reels", 18, "pike and perch", FABRIC),
                Product("landing net", "nets", 34, "a gentle catch", FABRIC),
                Product("tackle box", "storage", 27, "hooks, floats and sinkers", HARD),
                Product("folding chair", "comfort", 44, "patient mornings on the bank", FABRIC),
                Product("soft bait lures", "supplies", 9, "predators in clear water", SUPPLY),
            ),
        ),
        Project(
            "cycle touring",
            ("Lumi Outdoor", "Rivermark", "Velograt", "Northfell"),
            (
                Product("bicycle helmet", "safety", 74, "city and gravel", HARD),
                Product("pannier rack", "carriers", 45, "any 28-inch frame", HARD),
                Product("waterproof pannier bag", "carriers", 89, "a tour of several days", FABRIC),
                Product("floor pump", "workshop", 36, "tyres up to eight bar", HARD),
                Product("bicycle multi-tool", "workshop", 24, "repairs on the road", HARD),
                Product("handlebar bell", "safety", 11, "busy towpaths", HARD),
                Product("chain lubricant", "supplies", 10, "a quiet drivetrain", SUPPLY),
            ),
        ),
        Project(
            "climbing",
            ("Velograt", "Tarnway", "Lumi Outdoor", "Kestrel & Sons"),
            (
                Product("climbing shoes", "footwear", 109, "wall and limestone", FABRIC),
                Product("climbing harness", "protection", 64, "long belays", FABRIC),
                Product("dynamic rope", "protection", 139, "lead climbs of sixty metres", FABRIC),
                Product("quickdraw set", "protection", 84, "bolted routes", HARD),
                Product("rope bag", "storage", 32, "a clean and untangled rope", FABRIC),
                Product("crash pad", "comfort", 159, "soft landings below the boulder", FABRIC),
                Product("loose chalk", "supplies", 8, "dry hands on the crux", SUPPLY),
            ),
        ),
    ),
)

GARDEN = ShopVocabulary(
    "garden",
    "GAR",
    (
        Project(
            "vegetable beds",
            ("Ambergrove", "Brackenhill", "Willowmere", "Kestrel & Sons"),
            (
                Product("raised bed kit", "beds", 119, "salads at waist height", HARD),
                Product("weed membrane", "beds", 22, "beds without bindweed", FABRIC),
                Product("digging spade", "hand tools", 42, "turning heavy soil", HARD),
                Product("watering can", "watering", 28, "ten litres in one go", HARD),
                Product("slate plant labels", "order", 12, "rows that you can tell apart", HARD),
                Product("kneeling pad", "comfort", 18, "long hours of weeding", FABRIC),
                Product("organic vegetable feed", "supplies", 13, "tomatoes, beans and squash", SUPPLY),
            ),
        ),
        Project(
            "lawn care",
            ("Brackenhill", "Grünwerk", "Rivermark", "Northfell"),
            (
                Product("cordless lawn mower", "machines", 249, "lawns of up to 400 square metres", HARD),
                Product("drop spreader", "machines", 54, "an even sowing", HARD),
                Product("lawn aerator", "machines", 98, "compacted ground", HARD),
                Product("edging shears", "hand tools", 33, "clean borders", HARD),
                Product("hose reel", "watering", 67, "thirty metres without a kink", HARD),
                Product("oscillating sprinkler", "watering", 29, "summer evenings", HARD),
                Product("lawn fertiliser", "supplies", 24, "a dense and mossless green", SUPPLY),
            ),
        ),
        Project(
            "greenhouse growing",
            ("Willowmere", "Ambergrove", "Hortus Nova", "Grünwerk"),
            (
                Product("walk-in greenhouse", "growing houses", 329, "a longer season", HARD),
                Product("staging shelf", "growing houses", 62, "pots on three levels", HARD),
                Product("heated propagator", "sowing", 58, "chillies and aubergines", HARD),
                Product("seed tray set", "sowing", 16, "seedlings by the dozen", HARD),
                Product("tool hanger rail", "order", 21, "trowels within reach", HARD),
                Product("min-max thermometer", "climate", 19, "frosty nights and hot noons", HARD),
                Product("peat-free potting compost", "supplies", 11, "young roots", SUPPLY),
            ),
        ),
        Project(
            "garden ponds",
            ("Rivermark", "Hortus Nova", "Willowmere", "Kestrel & Sons"),
            (
                Product("pond liner", "pond building", 94, "ponds of four by five metres", FABRIC),
                Product("liner underlay fleece", "pond building", 38, "stony ground", FABRIC),
                Product("pond pump", "pond technology", 119, "a running stream", HARD),
                Product("pond filter", "pond technology", 139, "clear water all year", HARD),
                Product("planting basket", "pond plants", 9, "lilies and reeds", HARD),
                Product("floating pond light", "lighting", 36, "a glow after dusk", HARD),
                Product("goldfish food flakes", "supplies", 10, "healthy colours", SUPPLY),
            ),
        ),
        Project(
            "fruit trees",
            ("Grünwerk", "Hortus Nova", "Brackenhill", "Northfell"),
            (
                Product("espalier apple tree", "trees", 49, "a sunny wall", PLANT),
                Product("tree stake set", "trees", 23, "straight young trunks", HARD),
                Product("bypass secateurs", "hand tools", 37, "clean cuts in green wood", HARD),
                Product("telescopic lopper", "hand tools", 68, "branches out of reach", HARD),
                Product("harvest basket", "order", 26, "apples without bruises", HARD),
                Product("three-legged ladder", "comfort", 179, "uneven orchards", HARD),
                Product("winter tree wash", "supplies", 15, "bark without pests", SUPPLY),
            ),
        ),
    ),
)

SHOPS = (OUTDOOR, GARDEN)
