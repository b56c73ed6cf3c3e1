"""Telephone numbers in the form of E.164 (`+493012345`), which says the country."""

import re

# fmt: off
_CALLING_CODES = {
    "US": "1", "CA": "1", "RU": "7", "KZ": "7", "EG": "20", "ZA": "27", "GR": "30", "NL": "31",
    "BE": "32", "FR": "33", "ES": "34", "HU": "36", "IT": "39", "RO": "40", "CH": "41", "AT": "43",
    "GB": "44", "DK": "45", "SE": "46", "NO": "47", "PL": "48", "DE": "49", "PE": "51", "MX": "52",
    "AR": "54", "BR": "55", "CL": "56", "CO": "57", "MY": "60", "AU": "61", "ID": "62", "PH": "63",
    "NZ": "64", "SG": "65", "TH": "66", "JP": "81", "KR": "82", "VN": "84", "CN": "86", "TR": "90",
    "IN": "91", "PK": "92", "PT": "351", "LU": "352", "IE": "353", "IS": "354", "FI": "358", "BG": "359",
    "LT": "370", "LV": "371", "EE": "372", "UA": "380", "RS": "381", "HR": "385", "SI": "386", "CZ": "420",
    "SK": "421", "LI": "423", "HK": "852", "TW": "886", "IL": "972", "AE": "971", "SA": "966", "NG": "234",
    "KE": "254", "MA": "212",
}
# fmt: on
_KEEP_ZERO = frozenset(("IT",))  # its numbers keep their zero abroad
_NO_TRUNK = frozenset(("US", "CA", "ES", "DK", "NO", "PL", "PT", "CZ", "GR", "LU", "LV", "EE", "IS", "HK", "SG"))
_WRITTEN = re.compile(r"\+?[\d\s()./\u00a0-]+")
_EXTENSION = re.compile(r"\s*(?:ext\.?|x|durchwahl|#)\s*\d{1,6}$", re.IGNORECASE)
_MOST_CHARACTERS = 40


def parse_phone(text: str, country: str) -> str | None:
    """The number in E.164, or None where it is none or where nothing says its country."""
    if len(text) > _MOST_CHARACTERS:
        return None
    plain = _EXTENSION.sub("", text.strip())
    if not _WRITTEN.fullmatch(plain):
        return None
    plain = plain.replace("(0)", "")  # +49 (0) 30: for callers at home
    digits = "".join(filter(str.isdigit, plain))
    if plain.startswith("+"):
        return _checked(digits)
    if digits.startswith("00"):
        return _checked(digits[2:])
    code = _CALLING_CODES.get(country)
    if code is None:
        return None
    if country in ("US", "CA") and len(digits) == 11 and digits.startswith("1"):
        digits = digits[1:]
    if country not in _NO_TRUNK and country not in _KEEP_ZERO:
        digits = digits.removeprefix("0")
    return _checked(code + digits)


def _checked(digits: str) -> str | None:
    return f"+{digits}" if 8 <= len(digits) <= 15 and digits.isascii() and not digits.startswith("0") else None
