"""Who follows the demo program's links: when, from where, with what. Numbers are weights."""

# Monday to Sunday, and the hours of a day in the program's zone.
WEEKDAYS = (0.8, 0.78, 0.85, 0.92, 1.05, 1.35, 1.5)
HOURS = (14, 8, 4, 3, 2, 4, 10, 22, 28, 27, 28, 34, 44, 40, 34, 34, 40, 52, 68, 88, 104, 98, 66, 32)

COUNTRIES = {"DE": 62, "AT": 11, "CH": 9, "NL": 4, "DK": 3, "SE": 3, "FR": 2, "US": 2, "": 4}
# device, browser, operating system, in-app app, referrer host
PEOPLE = {
    "TikTok": {("mobile", "TikTok", "iOS", "TikTok", ""): 5,
               ("mobile", "TikTok", "Android", "TikTok", ""): 5},
    "Instagram": {("mobile", "Instagram", "iOS", "Instagram", "l.instagram.com"): 6,
                  ("mobile", "Instagram", "Android", "Instagram", "l.instagram.com"): 4},
    "YouTube": {("mobile", "Chrome", "Android", "", "m.youtube.com"): 4,
                ("mobile", "Safari", "iOS", "", "m.youtube.com"): 3,
                ("desktop", "Chrome", "Windows", "", "www.youtube.com"): 3,
                ("desktop", "Firefox", "Windows", "", "www.youtube.com"): 1,
                ("tablet", "Safari", "iOS", "", "www.youtube.com"): 1},
    "elsewhere": {("desktop", "Chrome", "Windows", "", ""): 3,
                  ("desktop", "Safari", "macOS", "", ""): 2,
                  ("mobile", "Safari", "iOS", "", ""): 3,
                  ("mobile", "Samsung Internet", "Android", "", ""): 1,
                  ("desktop", "Edge", "Windows", "", "www.reddit.com"): 1,
                  ("mobile", "Facebook", "Android", "Facebook", "m.facebook.com"): 1},
}  # fmt: skip
# How many of the people come from where, by the label of the link.
SOURCES = {"TikTok": 4, "Instagram": 6, "YouTube": 2, "elsewhere": 2}
EXCLUDED = {
    "bot:preview:facebookexternalhit": 5,
    "bot:preview:whatsapp": 4,
    "bot:preview:telegrambot": 3,
    "bot:preview:discordbot": 1,
    "bot:word:uptime": 2,
    "bot:library:python": 1,
    "prefetch": 4,
    "head": 4,
    "no-ua": 1,
}
NO_PERSON = ("", "", "", "", "")
