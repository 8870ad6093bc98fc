"""Tells a person's browser from a program by what it calls itself.

DESIGN

Lists of bots throw real clicks away: they look for `bot` and `google` anywhere, and find them in
phones (Cubot), mobile networks (Orange Botswana) and shop channels (`Channel/googleplay`). Most
clicks on a creator's link come from inside an app, whose browser writes all of these into its
name. So we judge in four steps, and look for words only in what the software wrote of itself:

1. The plain shape of a mainstream browser: a person. No word list comes between.
2. What does not even begin like a browser: a program.
3. What a device, a network or an app wrote about where it runs is cut out. The rest is searched
   for words by which programs name themselves, and for the forms that only programs have:
   `compatible;` without an old browser, no engine, an address to complain to.
4. An app's browser may carry any name, so it is let through here. A browser on a computer is
   searched for more words, and for a platform or an ending that no browser has.

Nothing here may take longer than its input: no expression can backtrack into itself, and the
input is cut first. A new word needs a reason, and `REASONS` is what reports are grouped by.
"""

import re
from functools import lru_cache
from typing import Final

LONGEST: Final = 1024  # characters of a user agent that are looked at

# Fetchers of link previews, unmistakable wherever they stand. The first that is found is the
# reason, so Telegram's stands before the one that it says it is like.
_PREVIEWS: Final = (
    "facebookexternalhit", "facebookcatalog", "facebot", "meta-external", "telegrambot",
    "twitterbot", "slackbot", "slack-imgproxy", "discordbot", "linkedinbot", "skypeuripreview",
    "bingpreview", "microsoftpreview", "google-pagerenderer", "google web preview",
    "google-read-aloud", "googleimageproxy", "flipboardproxy", "pinterestbot", "applebot",
    "bluesky cardyb", "tiktokspider", "thirdlandingpagefeinfra", "kakaotalk-scrap", "bitlybot",
    "iframely", "embedly", "yahoomailproxy", "emailproxy", "redditbot", "ms-office",
    "snap url preview", "unfurl", "link preview", "linkpreview",
)  # fmt: skip

# Apps whose servers fetch previews under the app's name. In a browser's name it is the app's own
# browser, with a person before it.
_PREVIEW_APPS: Final = (
    "whatsapp", "pinterest", "snapchat", "viber", "signal", "skype", "microsoft office",
    "microsoft outlook", "telegram", "discord", "slack", "kakaotalk", "flipboard", "mastodon",
)  # fmt: skip

# HTTP libraries: what a program is called whose author gave it no name.
_LIBRARIES: Final = (
    "python", "aiohttp", "httpx", "scrapy", "libwww", "lwp", "curl", "wget", "httpie", "axios",
    "node-fetch", "undici", "superagent", "okhttp", "apache-httpclient", "httpurlconnection",
    "http_client", "http client", "httpclient", "jakarta", "jersey", "unirest", "go-http-client",
    "fasthttp", "resty", "reqwest", "guzzle", "zend", "faraday", "mechanize", "cfnetwork",
    "alamofire", "urlsession", "dalvik", "volley", "postman", "insomnia", "restsharp", "winhttp",
    "wininet", "powershell", "urllib", "phantomjs", "java", "ruby", "perl", "php", "dart",
    "erlang", "http.rb", "got (",
)  # fmt: skip

# Words that neither browsers nor apps use of themselves.
_WORDS: Final = (
    "bot", "crawl", "crwl", "spider", "scrape", "scrapi", "scrapy", "slurp", "archiv", "fetch",
    "monitor", "indexer", "validator", "headless", "phantomjs", "slimerjs", "casperjs", "htmlunit",
    "selenium", "webdriver", "puppeteer", "playwright", "cypress/", "testcafe", "browsershot",
    "lighthouse", "pagespeed", "page speed", "webpagetest", "ptst", "gtmetrix", "dareboost",
    "synthetic", "catchpoint", "neustar", "gomezagent", "pingdom", "uptime", "statuscake",
    "observatory", "httpclient", "http client", "http_", "python", "libwww", "httrack", "nutch",
    "heritrix", "transcoder", "googleweblight", "screenshot", "thumbnail", "content-scan",
    "vulnerability", "inspector", "optimizer", "favicon", "wkhtml", "webkit2png", "nikto",
    "sqlmap", "nmap", "nessus", "qualys", "acunetix", "netsparker", "openvas", "nuclei", "zgrab",
    "masscan", "shodan", "censys", "wpscan", "jorgee", "jndi:", "burpcollab", "chatgpt-user",
    "claude-", "perplexity-", "diffbot", "ahrefs", "semrush", "netcraft", "user-agent",
    "imageproxy", "mediapartners", "google-", "adsense", "google search console", "hotjar",
    "adbeat", "dmbrowser", "daum/4", "daum 4", "jmeter", "loadimpact",
)  # fmt: skip

# Words that an app may use of itself, and a browser on a computer does not.
_WORDS_ON_COMPUTERS: Final = (
    "abuse", "agent", "analy", "audit", "blackwidow", "burp", "capture", "check", "classif",
    "cms", "collect", "contact", "content", "criteo", "detect", "diagnos", "discover", "dns",
    "domain", "email", "excel/", "extract", "feed", "grabber", "grader", "harvest", "host",
    "image", "index", "inspect", "market", "measure", "optimi", "outbrain", "page", "parser",
    "powerpoint", "preview", "print", "probe", "project", "proxy", "rank", "readable", "reader",
    "render", "research", "rigor", "rss", "scan", "scrap", "search", "security", "seo", "server",
    "siege", "site", "snapshot", "splash", "status", "survey", "taboola", "test", "thumb",
    "track", "translat", "url", "valid", "verif", "websnap", "webstripper", "webzip", "word/",
    "zombie",
)  # fmt: skip

# Monitors, security gateways, page readers and site auditors that pose as a computer's browser
# and add a name without any of these words.
_TOOLS_ON_COMPUTERS: Final = (
    "alertsite", "appdynamics", "applitools", "apify", "barracuda", "binaryedge", "bluecoat",
    "brightcloud", "browserless", "browserstack", "builtwith", "contentking",
    "crowdstrike", "cyren", "datadog", "datanyze", "debugbear", "doubleverify", "dynatrace",
    "evidon", "forcepoint", "fortiguard", "grapeshot", "hardenize", "hubspot",
    "import.io", "instapaper", "kimono", "lumar", "mapper", "mimecast", "mozenda",
    "nagios", "netlas", "netpeak", "newrelic", "octoparse", "oncrawl", "percy/", "proofpoint",
    "proximic", "qualaroo", "rapid7", "rendertron", "ruxit", "saucelabs", "seobility",
    "silktide", "similartech", "similarweb", "sindup", "sistrix", "solarwinds", "sophos",
    "speedcurve", "sucuri", "tenable", "thousandeyes", "tineye", "trendmicro", "uptrends",
    "virusdie", "virustotal", "wappalyzer", "watchtowr", "websense", "whatweb", "wordfence",
    "wordpress", "xovi", "yellowlab", "zabbix", "zapier", "zscaler", "zyte",
)  # fmt: skip

REASONS: Final = frozenset(
    {"empty", "contact"}
    | {f"structure:{form}" for form in
       ("prefix", "compatible", "engine", "comment", "platform", "tail")}
    | {f"preview:{name}" for name in (*_PREVIEWS, *_PREVIEW_APPS)}
    | {f"library:{name}" for name in _LIBRARIES}
    | {f"word:{name}" for name in (*_WORDS, *_WORDS_ON_COMPUTERS)}
    | {f"tool:{name}" for name in _TOOLS_ON_COMPUTERS}
)  # fmt: skip

_Names = tuple[tuple[str, str], ...]


def _named(kind: str, names: tuple[str, ...]) -> _Names:
    return tuple((name, f"{kind}:{name}") for name in names)


_ANYWHERE: Final = _named("preview", _PREVIEWS) + _named("word", _WORDS)
_ON_COMPUTERS: Final = _named("word", _WORDS_ON_COMPUTERS) + _named("tool", _TOOLS_ON_COMPUTERS)
_NO_BROWSER: Final = (
    _named("preview", _PREVIEWS)
    + _named("library", _LIBRARIES)
    + _named("word", _WORDS)
    + _named("preview", _PREVIEW_APPS)
)

# Step 1.
_MAINSTREAM: Final = re.compile(
    r"Mozilla/5\.0 \((?:"
    r"Windows NT [\d.]+(?:; (?:Win64; x64|WOW64|ARM64))?"
    r"|Macintosh; Intel Mac OS X [\d_.]+"
    r"|X11; (?:Ubuntu; |Fedora; )?Linux (?:x86_64|i686|aarch64)"
    r"|X11; CrOS \w+ [\d.]+"
    r"|iP(?:hone|od touch|ad); (?:U; )?CPU (?:iPhone )?OS [\d_]+ like Mac OS X"
    r"|Linux; Android [\d.]+; [\w .+-]{1,40}(?: Build/[\w.+-]{1,60})?(?:; wv)?"
    r"|(?:Windows NT [\d.]+; (?:Win64; x64; |WOW64; )?|Macintosh; Intel Mac OS X [\d.]+; "
    r"|X11; (?:Ubuntu; )?Linux x86_64; |Android [\d.]+; (?:Mobile|Tablet); )rv:[\d.]+"
    r")\) (?:Gecko/[\d.]+ Firefox/[\d.]+"
    r"|AppleWebKit/[\d.]+ \(KHTML, like Gecko\)"
    r"(?: (?:Version|Chrome|CriOS|FxiOS|EdgiOS|OPT|GSA|DuckDuckGo|Ddg|SamsungBrowser)/[\d.]+)*"
    r"(?: Mobile(?:/\w+)?)?"
    r"(?: Safari/[\d.]+)?"
    r"(?: (?:Edg|EdgA|Edge|OPR|OPX|Ddg|DuckDuckGo|Vivaldi|YaBrowser|Whale)/[\d.]+)*"
    r")"
)

# Step 2. Early Instagram and Threads put their own name where the browser's belongs.
_BEGINNING: Final = re.compile(r"(?:Mozilla/|Opera/|Instagram |Barcelona )\d")

# Step 3: the brackets in which Android describes the device, Meta's block, what apps add about
# where they run; and the names of phones, countries and apps that have `bot` in them.
_NOT_SOFTWARE: Final = re.compile(
    r"\((?=[^()]*Android)[^()]*(?:\([^()]*\)[^()]*)*\)?"
    r"|Android \([^)]*\)?"
    r"|\[FB[^\]]*\]?"
    r"|\(iP(?:hone|ad|od)\d[^()]*\)?"
    r"|\b(?i:Channel|Process|Model|Region|AppName|FBCR)/[^ ;]*"
    r"|(?i:cubot|botim|botswana|abbott|bott[lo])"
)
_COMPATIBLE: Final = re.compile(r"compatible *[;:,)]|\(compatible\b|compatible%", re.IGNORECASE)
# Browsers that said `compatible;` in their time.
_COMPATIBLE_BROWSERS: Final = re.compile(
    r"MSIE|Konqueror|NetFront|Polaris|Teleca|BREW|Kindle|Nokia|Chameleon|ABrowse|IBrowse"
    r"|WebPositive|Viera|Lotus-Notes|Go\.Web|Opera|Twonky|NetCast|OmniWeb|iCab",
    re.IGNORECASE,
)
# An engine, or a device that had one of its own.
_ENGINE: Final = re.compile(
    r"WebKit[/ ]|Gecko|MSIE|Trident|Presto|Opera|KHTML|NetFront|UC ?Browser|UCWEB|Obigo|Teleca"
    r"|MIDP|Dolfin|Nintendo|PlayStation|PLAYSTATION|Symbian|S60|Series60|BREW|Brew|FOMA|Android"
    r"|iOS|iPhone|Bada|BADA|SMART-TV|CrKey|Nokia|Kindle|Polaris|LibWeb|InettvBrowser|BrowseX"
    r"|Servo|SAMSUNG|SonyEricsson|Vodafone|LG-|Palm|Dreamcast|WebTV|UP\.|compatible|Instagram"
    r"|Barcelona"
)
# Browsers write (KHTML, like Gecko); televisions, and some old ones, a little more.
_COMMENT: Final = re.compile(
    r"\((?:KHTML,? )?like Gecko(?: *[;,] *| )(?!Safari|Mobile|HEVC|HDR|Version|Chrome|like)[A-Za-z]"
    r"|Gecko/[a-z]|Firefox/[a-z]"
)
_CONTACT: Final = re.compile(
    r"https?:|www\.|mailto:|[\w.+-]@(?:[\w-]{1,63}\.){1,4}[a-z]{2,}"
    r"|\bat\b.{1,40}\bdot\b|\(at\)|<\w|'\+|\$\{",
    re.IGNORECASE,
)
# Monitors that pose as a phone and write their name beside the phone's.
_CONTACT_IN_DEVICE: Final = re.compile(r"\+https?:|; (?:Catchpoint|Neustar|Seznam screenshot)")

# Step 4: an app's browser, a television's or an old phone's.
_APP: Final = re.compile(
    r"Android|iPhone|iPad|iPod|Mobile|; wv\)|\[FB|Instagram|TV|Tizen|Web0S|SmartCast|DLNA|Linux;"
    r"|PlayStation|PLAYSTATION|Nintendo|Xbox|Symbian|S60|MIDP|BlackBerry|Windows CE|Kindle|BREW"
    r"|NetFront|UCWEB|Opera|Palm|SonyEricsson|SAMSUNG|LG-|Vodafone|Electron/|osmeta|QtEmbedded"
    r"|Barcelona|MicroMessenger"
)
# `Mozilla/5.0 (` and what browsers put first there: not a name before the operating system's.
_PLATFORM: Final = re.compile(
    r"(?:Mozilla|Opera)/[\d.]+ ?(?:\[[^\]]*\] ?)?"
    r"\((?:Windows|Macintosh|X11|Wayland|Unknown|compatible|MSIE|IE"
    r"|(?![^;()]{1,40}; (?:Windows NT|Intel Mac|Macintosh|X11))[^)])"
)
# A browser is made of names with versions. Programs add a word without one, or a web address:
# after the comment on the engine, or at the end. Internet Explorer adds nothing.
_TAIL: Final = re.compile(
    r"KHTML, like Gecko\) ([A-Za-z.-]+)(?= [A-Za-z])"
    r"|(?<!like )(?:Safari|Firefox)/[\d.+]+ ?"
    r"(;|[A-Za-z][A-Za-z-]*(?: [A-Z]\w+)*$|\S{1,63}\.(?:com|net|org|io|eu|fr|de)\b)"
    r"|MSIE [^()]*\) ?(?!like Gecko|Opera|Escape)([A-Za-z0-9]+)[^()]*$"
)
# The words without a version that browsers add too, besides `…Browser`.
_TAILS: Final = frozenset((
    "mobile", "ubuntu", "debian", "raspbian", "fedora", "arch", "slackware", "brave", "viber",
    "mrchrome", "lbbrowser", "duckduckgo", "talon", "xfce", "metasr", "iron",
))  # fmt: skip


def judge(user_agent: str) -> str | None:
    """Why this is not a person's browser, as one of `REASONS`; None if it is one."""
    return _judge(user_agent[:LONGEST])


@lru_cache(16384)
def _judge(text: str) -> str | None:
    if _MAINSTREAM.fullmatch(text):
        return None
    text = text.strip()
    if not text:
        return "empty"
    if not _BEGINNING.match(text):
        return _first(_NO_BROWSER, text.lower()) or "structure:prefix"
    soft = _NOT_SOFTWARE.sub("()", text)
    lower = soft.lower()
    why = _first(_ANYWHERE, lower) or _form(text, soft)
    if why is None and not _APP.search(text):
        why = _first(_ON_COMPUTERS, lower) or _form_on_computers(text, soft)
    return why


def _first(names: _Names, text: str) -> str | None:
    for name, why in names:
        if name in text:
            return why
    return None


def _form(text: str, soft: str) -> str | None:
    if _COMPATIBLE.search(text) and not _COMPATIBLE_BROWSERS.search(text):
        return "structure:compatible"
    if not _ENGINE.search(text):
        return "structure:engine"
    if _COMMENT.search(soft):
        return "structure:comment"
    if _CONTACT.search(soft) or _CONTACT_IN_DEVICE.search(text):
        return "contact"
    return None


def _form_on_computers(text: str, soft: str) -> str | None:
    if not _PLATFORM.match(text):
        return "structure:platform"
    for found in _TAIL.finditer(soft):
        tail = (found[1] or found[2] or found[3]).lower()
        if tail not in _TAILS and not tail.endswith("browser"):
            return "structure:tail"
    return None
