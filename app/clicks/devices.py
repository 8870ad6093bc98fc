"""What a person clicked with: kind of device, browser, system and app, from the user agent.

All four come from closed lists. The user agent is a stranger's text: what is not on a list is
left empty, so that nobody can write into a report, or make it grow.
"""

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from app.clicks.user_agents import LONGEST

if TYPE_CHECKING:
    from ua_parser.regex import Resolver


class Device(NamedTuple):
    device: str = "other"  # mobile, tablet, desktop or other
    browser: str = ""  # an app's own browser has the app's name
    os: str = ""
    in_app: str = ""


# Apps that open links in themselves, by what they write; the first that is found. Messenger
# before Facebook and Threads before Instagram, because they write both.
_APPS: Final = (
    ("Barcelona ", "Threads"), ("MetaIAB Threads", "Threads"),
    ("Instagram", "Instagram"),
    ("FB_IAB/MESSENGER", "Messenger"), ("FBAN/Messenger", "Messenger"),
    ("FB_IAB/", "Facebook"), ("FBAN/", "Facebook"), ("MetaIAB Facebook", "Facebook"),
    ("BytedanceWebview", "TikTok"), ("musical_ly", "TikTok"), ("trill_", "TikTok"),
    ("TikTok", "TikTok"),
    ("Snapchat", "Snapchat"), ("[Pinterest/", "Pinterest"), ("Pinterest for", "Pinterest"),
    ("LinkedInApp", "LinkedIn"),
    ("Twitter for", "X"), ("TwitterAndroid", "X"), ("Twitter/", "X"),
    ("YouTube/", "YouTube"), ("com.google.ios.youtube", "YouTube"),
    ("WhatsApp", "WhatsApp"), ("Telegram", "Telegram"), ("MicroMessenger", "WeChat"),
    ("KAKAOTALK", "KakaoTalk"), (" Line/", "LINE"), ("NAVER(inapp", "NAVER"),
    ("Reddit/", "Reddit"), ("Discord", "Discord"), ("Twitch", "Twitch"), ("Viber", "Viber"),
    ("VKAndroidApp", "VK"), ("VK/", "VK"), ("Weibo", "Weibo"), ("Zalo", "Zalo"),
    ("baiduboxapp", "Baidu"), ("BaiduBoxApp", "Baidu"), ("GSA/", "Google"),
    ("Flipboard", "Flipboard"), ("Spotify", "Spotify"), ("Bluesky", "Bluesky"),
    ("Slack", "Slack"), ("Outlook-", "Outlook"),
)  # fmt: skip

# ua-parser's names of browsers, and ours where one browser has several.
_BROWSERS: Final = {
    "Chrome": "Chrome", "Chrome Mobile": "Chrome", "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Android WebView", "Chromium": "Chromium",
    "Android": "Android Browser",
    "Safari": "Safari", "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "iOS WebView",
    "Firefox": "Firefox", "Firefox Mobile": "Firefox", "Firefox iOS": "Firefox",
    "Firefox Focus": "Firefox Focus", "Edge": "Edge", "Edge Mobile": "Edge",
    "IE": "Internet Explorer", "IE Mobile": "Internet Explorer",
    "Opera": "Opera", "Opera Mobile": "Opera", "Opera Touch": "Opera", "Opera GX": "Opera GX",
    "Opera Mini": "Opera Mini", "Samsung Internet": "Samsung Internet",
    "Brave": "Brave", "Vivaldi": "Vivaldi", "DuckDuckGo": "DuckDuckGo",
    "DuckDuckGo Mobile": "DuckDuckGo", "Ecosia Android": "Ecosia", "Ecosia iOS": "Ecosia",
    "Yandex Browser": "Yandex Browser", "YandexSearch": "Yandex Browser",
    "UC Browser": "UC Browser", "QQ Browser": "QQ Browser", "QQ Browser Mobile": "QQ Browser",
    "MiuiBrowser": "Mi Browser", "Mint Browser": "Mint Browser",
    "Huawei Browser": "Huawei Browser", "Honor Browser": "Honor Browser",
    "HeyTap Browser": "HeyTap Browser", "VivoBrowser": "Vivo Browser",
    "Phoenix Browser": "Phoenix Browser", "Aloha Browser": "Aloha Browser",
    "Amazon Silk": "Amazon Silk", "Oculus Browser": "Meta Quest Browser", "Puffin": "Puffin",
    "Coc Coc": "Cốc Cốc", "Whale": "Whale", "Maxthon": "Maxthon", "Sogou Explorer": "Sogou",
    "Avast Secure Browser": "Avast Secure Browser", "Baidu Browser": "Baidu", "AVG": "AVG",
    "Baidu Explorer": "Baidu", "SeaMonkey": "SeaMonkey", "Pale Moon": "Pale Moon",
    "Epiphany": "GNOME Web", "Konqueror": "Konqueror", "Falkon": "Falkon", "Google": "Google",
    "Seznam prohlížeč": "Seznam", "HbbTV": "HbbTV", "BlackBerry WebKit": "BlackBerry",
    "BlackBerry": "BlackBerry", "Nokia Browser": "Nokia Browser", "Thunderbird": "Thunderbird",
}  # fmt: skip

_SYSTEMS: Final = {
    "Android": "Android", "iOS": "iOS", "Windows": "Windows", "Mac OS X": "macOS",
    "Mac OS": "macOS", "Chrome OS": "ChromeOS", "Linux": "Linux", "Ubuntu": "Linux",
    "Kubuntu": "Linux", "Debian": "Linux", "Fedora": "Linux", "SUSE": "Linux", "Gentoo": "Linux",
    "Arch Linux": "Linux", "Linux Mint": "Linux", "Red Hat": "Linux", "Slackware": "Linux",
    "FreeBSD": "BSD", "OpenBSD": "BSD", "NetBSD": "BSD", "Windows Phone": "Windows Phone",
    "Windows Mobile": "Windows Phone", "KaiOS": "KaiOS", "Tizen": "Tizen", "Web0S": "webOS",
    "webOS": "webOS", "BlackBerry OS": "BlackBerry", "Symbian OS": "Symbian",
    "Symbian^3": "Symbian", "Sailfish": "Sailfish", "tvOS": "tvOS", "watchOS": "watchOS",
    "Chromecast": "Chromecast", "Chromecast Linux": "Chromecast", "Kindle": "Kindle",
    "HarmonyOS": "HarmonyOS", "OpenHarmony": "HarmonyOS",
}  # fmt: skip

_OTHER: Final = re.compile(
    r"TV|BRAVIA|CrKey|Web0S|PlayStation|PLAYSTATION|Nintendo|Xbox|Tizen|Quest \d|AFT[A-Z]|Roku|Watch"
)
_TABLET: Final = re.compile(r"iPad|Tablet|Silk/|Kindle|PlayBook|FBID/tablet")
_MOBILE: Final = re.compile(
    r"Mobi|iPhone|iPod|Phone|Opera Mini|IEMobile|BlackBerry|Symbian|S60|MIDP|BREW|KAIOS"
)
_DESKTOP: Final = re.compile(r"Windows|Macintosh|X11|CrOS|Linux")


@lru_cache(16384)
def describe(user_agent: str) -> Device:
    """Kind of device, browser, system and app. Families, never versions."""
    from ua_parser.core import Domain

    text = user_agent[:LONGEST]
    found = _resolver()(text, Domain.USER_AGENT | Domain.OS)
    # A browser without a name here is most often one of the many that are built on Chromium.
    browser = "Chromium" if "Chrome/" in text else ""
    if found.user_agent:
        browser = _BROWSERS.get(found.user_agent.family, browser)
    system = _SYSTEMS.get(found.os.family, "") if found.os else ""
    app = next((name for sign, name in _APPS if sign in text), "")
    return Device(_kind(text), app or browser, system, app)


def _kind(text: str) -> str:
    if _OTHER.search(text):
        return "other"
    if _TABLET.search(text):
        return "tablet"
    if _MOBILE.search(text):
        return "mobile"
    if "Android" in text:
        return "tablet"  # phones say Mobile
    return "desktop" if _DESKTOP.search(text) else "other"


@cache
def _resolver() -> "Resolver":
    # A tenth of a second and some megabytes, which only the recorder needs.
    from ua_parser.loaders import load_lazy_builtins
    from ua_parser.regex import Resolver

    return Resolver(load_lazy_builtins())
