"""Country codes, one of which, that of Namibia, is also the usual word for a missing cell."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["NAMIBIA", "are_country_codes"]

NAMIBIA = "NA"

_TEXT = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT
BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH
ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT
HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS
LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI
NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG
SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG
UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW EU UK EL XK
"""
_CODES = frozenset(_TEXT.split())


def are_country_codes(labels: Iterable[str]) -> bool:
    """Tell whether labels, at least two, are all codes of countries, as in ISO 3166.

    Examples
    --------
    >>> are_country_codes(["DE", "ZA", "BW"]), are_country_codes(["TX", "CA"])
    (True, False)
    """
    known = set(labels)
    return len(known) >= 2 and known <= _CODES
