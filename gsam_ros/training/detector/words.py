"""Words of the demo detector and the WordPiece tokenizer made of them.

Grounding DINO as transformers implements it splits a prompt into phrases by token ids that are
written into its source ("[CLS]" 101, "[SEP]" 102, "." 1012, "?" 1029, padding 0), the ids of
bert-base-uncased. A vocabulary of our own therefore keeps exactly these ids, and fills the places
between them with characters (so that any text can be tokenised), the words of the demo world, and
everyday words that the detector learns to answer with "not here".
"""

from __future__ import annotations

import string

from transformers import BertTokenizer

from gsam_ros.world.vocabulary import COLOURS, SHAPES, colour_words, shape_words

FIXED_IDS: dict[str, int] = {
    "[PAD]": 0,
    "[UNK]": 100,
    "[CLS]": 101,
    "[SEP]": 102,
    "[MASK]": 103,
    ".": 1012,
    "?": 1029,
}
"""Token ids that transformers' Grounding DINO takes for granted."""

MAX_TEXT_TOKENS = 256
"""Longest prompt in tokens, the same as in the published checkpoints."""

_GRAMMAR = "a an the and or of with in on at to object thing item"
GRAMMAR_WORDS = tuple(_GRAMMAR.split())

# One line per subject.
_EVERYDAY = """
person man woman child boy girl baby people human face head hand arm leg foot hair eye nose mouth
dog cat horse cow sheep pig goat bird duck chicken goose fish shark whale frog snake turtle lizard
lion tiger bear elephant zebra giraffe monkey rabbit mouse rat fox wolf deer camel owl eagle parrot
penguin bee ant spider butterfly fly crab snail dolphin kangaroo koala panda animal pet insect
car truck bus van taxi train tram bicycle bike motorcycle scooter boat ship airplane plane
helicopter rocket tractor wheel tire engine road street traffic sign bridge tunnel rail wagon
chair table sofa couch bed desk shelf bookcase cabinet drawer wardrobe stool bench lamp mirror
carpet rug curtain pillow blanket door window wall floor ceiling roof stairs fence gate house
building tower castle church school hospital shop market kitchen bathroom bedroom garage garden
bottle bowl plate fork knife spoon pan pot kettle oven stove fridge refrigerator toaster microwave
sink tap towel soap brush comb toothbrush bucket basket jar glass vase tray lid straw napkin
apple banana pear grape lemon lime peach plum cherry strawberry melon pineapple mango tomato
potato carrot onion pepper cucumber cabbage lettuce broccoli corn bean pea mushroom garlic bread
cake pie cookie pizza sandwich burger pasta rice soup salad cheese butter egg meat steak sausage
bacon ham milk tea coffee juice water wine beer sugar salt honey chocolate candy cream
shirt dress skirt coat jacket sweater jeans trousers pants shorts sock shoe boot sandal hat helmet
glove scarf belt tie suit uniform bag backpack handbag purse wallet suitcase umbrella watch
necklace crown mask costume button zipper
phone telephone computer laptop keyboard monitor screen tablet camera radio television tv remote
printer speaker headphones microphone robot drone battery cable wire switch plug clock calculator
hammer saw drill screw nail wrench pliers screwdriver axe shovel rake ladder rope chain hook
scissors ruler pencil pen marker paper book notebook magazine newspaper letter envelope stamp card
map poster picture painting photo frame sculpture statue flag candle match fire smoke
tree bush flower rose leaf grass plant seed root branch forest wood log stone rock sand mud
mountain hill valley river lake sea ocean beach island desert sky cloud sun moon rain snow
ice wind storm lightning rainbow field farm park path
football basketball baseball tennis golf hockey bat racket net goal ski skateboard surfboard
snowboard sled kite frisbee puzzle doll teddy toy game dice chess piano guitar violin drum
trumpet flute organ bell whistle
police doctor nurse teacher farmer soldier king queen driver player dancer singer chef pilot
hydrant bin trash can barrel crate pallet pipe brick tile beam column pole post
money coin key lock sword gun bullet bomb shield arrow bow anchor balloon gift present ribbon
feather shell bone skull tooth wing tail horn fur skin
pink brown gray grey silver gold cyan magenta beige turquoise maroon
big small large little tiny huge long short tall wide narrow round square flat thick thin old new
young clean dirty wet dry hot cold warm open closed empty full broken wooden metal plastic paper
striped dotted shiny dark bright light heavy soft hard left right top bottom front back near far
one two three four five six seven eight nine ten
walking running sitting standing flying swimming eating drinking playing sleeping riding holding
"""
OTHER_WORDS = tuple(_EVERYDAY.split())


def world_words() -> list[str]:
    """Every word that names a colour or a shape of the demo world, without repetition."""
    colours = [word for colour in COLOURS for word in colour_words(colour)]
    shapes = [word for shape in SHAPES for word in shape_words(shape)]
    return list(dict.fromkeys(colours + shapes))


def absent_words() -> list[str]:
    """Everyday words that name nothing in the demo world: the detector's "unknown" words."""
    known = set(world_words())
    words = dict.fromkeys(word for word in OTHER_WORDS if word.isalpha())
    return [word for word in words if word not in known]


def build_vocabulary() -> dict[str, int]:
    """Token to id. Ids run from 0 without a gap; those of `FIXED_IDS` are where they must be."""
    characters = string.ascii_lowercase + string.digits
    punctuation = [c for c in string.punctuation if c not in FIXED_IDS]
    pieces = [*characters, *(f"##{c}" for c in characters), "##s", "##es", *punctuation]
    tokens = dict.fromkeys([*pieces, *GRAMMAR_WORDS, *world_words(), *absent_words()])
    by_id = {index: token for token, index in FIXED_IDS.items()}
    free = iter(token for token in tokens if token not in FIXED_IDS)
    size = max(len(tokens) + len(FIXED_IDS), max(by_id) + 1)
    for index in range(size):
        if index not in by_id:
            by_id[index] = next(free, f"[unused{index}]")
    return {by_id[index]: index for index in sorted(by_id)}


def build_tokenizer() -> BertTokenizer:
    """Build a plain lower-casing BERT WordPiece tokenizer over `build_vocabulary`."""
    return BertTokenizer(
        vocab=build_vocabulary(), do_lower_case=True, model_max_length=MAX_TEXT_TOKENS
    )
