"""The words a shop is made of: names of people, places and products. Data only.

All of it is in cp1252, since one customer file is delivered so.
"""

from dataclasses import dataclass

FIRST_NAMES = (
    *("James", "Mary", "Robert", "Patricia", "John", "Jennifer", "Michael", "Linda", "David", "Elizabeth"),
    *("William", "Barbara", "Richard", "Susan", "Joseph", "Jessica", "Thomas", "Sarah", "Christopher", "Karen"),
    *("Charles", "Lisa", "Daniel", "Nancy", "Matthew", "Betty", "Anthony", "Sandra", "Mark", "Margaret"),
    *("Donald", "Ashley", "Steven", "Kimberly", "Andrew", "Emily", "Paul", "Donna", "Joshua", "Michelle"),
    *("Kenneth", "Carol", "Kevin", "Amanda", "Brian", "Melissa", "George", "Deborah", "Timothy", "Stephanie"),
    *("Ronald", "Rebecca", "Jason", "Laura", "Edward", "Helen", "Jeffrey", "Sharon", "Ryan", "Cynthia"),
    *("Jacob", "Kathleen", "Gary", "Amy", "Nicholas", "Angela", "Eric", "Shirley", "Jonathan", "Brenda"),
    *("José", "María", "Luis", "Sofía", "Ángel", "Lucía", "Andrés", "Renée", "Zoë", "Chloé"),
    *("Wei", "Mei", "Priya", "Arjun", "Aisha", "Omar", "Fatima", "Yusuf", "Hana", "Kenji"),
    *("Björn", "Anaïs", "François", "Inès", "Jürgen", "Siân", "Olivia", "Noah", "Emma", "Liam"),
)
LAST_NAMES = (
    *("Smith", "Johnson", "Williams", "Brown", "Jones", "Garcia", "Miller", "Davis", "Rodriguez", "Martinez"),
    *("Hernandez", "Lopez", "Gonzalez", "Wilson", "Anderson", "Thomas", "Taylor", "Moore", "Jackson", "Martin"),
    *("Lee", "Perez", "Thompson", "White", "Harris", "Sanchez", "Clark", "Ramirez", "Lewis", "Robinson"),
    *("Walker", "Young", "Allen", "King", "Wright", "Scott", "Torres", "Nguyen", "Hill", "Flores"),
    *("Green", "Adams", "Nelson", "Baker", "Hall", "Rivera", "Campbell", "Mitchell", "Carter", "Roberts"),
    *("Gomez", "Phillips", "Evans", "Turner", "Diaz", "Parker", "Cruz", "Edwards", "Collins", "Reyes"),
    *("Stewart", "Morris", "Morales", "Murphy", "Cook", "Rogers", "Gutierrez", "Ortiz", "Morgan", "Cooper"),
    *("Núñez", "Peña", "Muñoz", "Müller", "Lefèvre", "O'Brien", "O'Connor", "D'Angelo", "Smith-Jones", "van Dyke"),
    *("Patel", "Khan", "Chen", "Wang", "Kim", "Park", "Singh", "Ali", "Tanaka", "Cohen"),
    *("Peterson", "Bailey", "Reed", "Kelly", "Howard", "Ward", "Cox", "Richardson", "Wood", "Watson"),
)
MAIL_DOMAINS = ("gmail.com", "yahoo.com", "outlook.com", "icloud.com", "aol.com", "example.com", "example.org")

CITIES = (
    ("New York", "NY", 8258),
    ("Los Angeles", "CA", 3821),
    ("Chicago", "IL", 2664),
    ("Houston", "TX", 2314),
    ("Phoenix", "AZ", 1650),
    ("Philadelphia", "PA", 1551),
    ("San Antonio", "TX", 1495),
    ("San Diego", "CA", 1388),
    ("Dallas", "TX", 1303),
    ("Jacksonville", "FL", 986),
    ("Austin", "TX", 980),
    ("Fort Worth", "TX", 978),
    ("San José", "CA", 970),
    ("Columbus", "OH", 913),
    ("Charlotte", "NC", 911),
    ("Indianapolis", "IN", 879),
    ("San Francisco", "CA", 809),
    ("Seattle", "WA", 755),
    ("Denver", "CO", 717),
    ("Oklahoma City", "OK", 703),
    ("Nashville", "TN", 688),
    ("Washington", "DC", 679),
    ("El Paso", "TX", 678),
    ("Las Vegas", "NV", 660),
    ("Boston", "MA", 654),
    ("Detroit", "MI", 633),
    ("Portland", "OR", 631),
    ("Louisville", "KY", 623),
    ("Memphis", "TN", 619),
    ("Baltimore", "MD", 565),
    ("Milwaukee", "WI", 561),
    ("Albuquerque", "NM", 561),
    ("Tucson", "AZ", 547),
    ("Fresno", "CA", 546),
    ("Sacramento", "CA", 526),
    ("Atlanta", "GA", 511),
    ("Kansas City", "MO", 511),
    ("Raleigh", "NC", 482),
    ("Omaha", "NE", 483),
    ("Miami", "FL", 456),
    ("Virginia Beach", "VA", 453),
    ("Minneapolis", "MN", 425),
    ("Tampa", "FL", 404),
    ("Wichita", "KS", 396),
    ("New Orleans", "LA", 364),
    ("Cleveland", "OH", 363),
    ("Honolulu", "HI", 341),
    ("Newark", "NJ", 305),
    ("Anchorage", "AK", 286),
    ("St. Louis", "MO", 282),
    ("Boise", "ID", 235),
    ("Salt Lake City", "UT", 210),
    ("Des Moines", "IA", 211),
    ("Little Rock", "AR", 203),
    ("Birmingham", "AL", 197),
    ("Providence", "RI", 191),
    ("Jackson", "MS", 143),
    ("Charleston", "SC", 156),
    ("Hartford", "CT", 120),
    ("Cheyenne", "WY", 65),
)
"""City, state, thousands of people."""


@dataclass(frozen=True, kw_only=True)
class Category:
    """A shelf of the shop: its name, what a thing on it typically costs, and the words its products are called by."""

    name: str
    price: float
    styles: tuple[str, ...]
    nouns: tuple[str, ...]


CATEGORIES = (
    Category(
        name="Electronics",
        price=75.0,
        styles=("Wireless", "Compact", "Pro", "Mini", "4K", "USB-C", "Smart", "Noise-Cancelling", '15"', "Foldable"),
        nouns=("Headphones", "Keyboard", "Mouse", "Monitor", "Speaker", "Webcam", "Charger", "Tablet", "Router", "Hub"),
    ),
    Category(
        name="Home & Kitchen",
        price=32.0,
        styles=("Cast Iron", "Bamboo", "Stainless", "Ceramic", "Glass", "Copper", "Non-Stick", "Café", "Entrée", "Oak"),
        nouns=("Pan", "Kettle", "Lamp", "Cutting Board", "Mug", "Bowl", "Knife", "Teapot", "Carafe", "Tray"),
    ),
    Category(
        name="Clothing",
        price=38.0,
        styles=("Slim", "Relaxed", "Organic", "Linen", "Merino", "Denim", "Quilted", "Striped", "Classic", "Appliqué"),
        nouns=("T-Shirt", "Jeans", "Hoodie", "Jacket", "Dress", "Socks", "Scarf", "Shorts", "Sweater", "Belt"),
    ),
    Category(
        name="Sports",
        price=45.0,
        styles=(
            "Trail",
            "Carbon",
            "Junior",
            "Pro",
            "Ultralight",
            "All-Weather",
            "Adjustable",
            "Folding",
            "Team",
            "Aero",
        ),
        nouns=("Yoga Mat", "Dumbbell", "Backpack", "Helmet", "Tent", "Racket", "Bottle", "Gloves", "Bike Pump", "Rope"),
    ),
    Category(
        name="Beauty",
        price=18.0,
        styles=("Gentle", "Vitamin C", "Aloe", "Rose", "Charcoal", "Shea", "Mint", "Argan", "Night", "Sensitive"),
        nouns=("Cleanser", "Serum", "Shampoo", "Lip Balm", "Hand Cream", "Mask", "Toner", "Soap", "Scrub", "Sunscreen"),
    ),
    Category(
        name="Toys",
        price=24.0,
        styles=("Wooden", "Magnetic", "Giant", "Glow", "Classic", "Junior", "Pocket", "Deluxe", "Musical", "Plush"),
        nouns=("Blocks", "Puzzle", "Train", "Dinosaur", "Kite", "Robot", "Teddy", "Marble Run", "Drum", "Card Game"),
    ),
    Category(
        name="Books",
        price=14.0,
        styles=(
            "The Lost",
            "A Short",
            "The Last",
            "My First",
            "Modern",
            "Everyday",
            "The Great",
            "My",
            "The Old",
            "The",
        ),
        nouns=("Garden", "History", "Voyage", "Cookbook", "Atlas", "Mystery", "Winter", "Economist", "Forest", "Poems"),
    ),
    Category(
        name="Garden",
        price=28.0,
        styles=(
            "Solar",
            "Galvanized",
            "Terracotta",
            "Flexible",
            "Hanging",
            "Rustic",
            "Robust",
            "Cedar",
            "Mini",
            "Tall",
        ),
        nouns=(
            "Planter",
            "Hose",
            "Lantern",
            "Trowel",
            "Bird Feeder",
            "Rake",
            "Bench",
            "Sprinkler",
            "Trellis",
            "Pruner",
        ),
    ),
)
COLOURS = ("black", "white", "navy", "olive", "red", "sand", "teal", "grey", "lilac", "amber", "mint", "rust")
