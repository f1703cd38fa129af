"""What each source refuses: file, line and mend in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rafm_datasets import DataError, parse_description, source_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rafm_datasets import PreparedData

    Prepare = Callable[..., PreparedData]

AVAZU = "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,"
AVAZU += "app_domain,app_category,device_id,device_ip,device_model,device_type,"
AVAZU += "device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21\n"
REST = ",1005" * 21 + "\n"
FRAPPE = "user item cnt daytime weekday isweekend homework cost weather country city"
FRAPPE = FRAPPE.replace(" ", "\t") + "\n"
RATINGS = "userId,movieId,rating,timestamp\n"
ADS = "\t1" * 13 + "\ta" * 26 + "\n"

TAGS = "userId,movieId,tag,timestamp\n"
BLOCK = (
    "product/productId: B003AI2VGA\nreview/userId: A141HP4LYPWMSR\n"
    "review/score: 3.0\nreview/time: 1182729600\nreview/text: a\n\n"
)
NEXT = "\nreview/text"
JSON = (
    '{"reviewerID": "A2IBPI20UZIR0U", "asin": "1384719342", "overall": 5.0, '
    '"unixReviewTime": 1393545600}\n'
)

# source, text, line of the defect, what is told, the rest of it
CASES = [
    ("amazon", "a,b,c,d\n", 1, "neither a block of"),
    ("amazon", f"{BLOCK}{BLOCK.replace('score', 'sore')}", 7, "lacks review/score"),
    ("amazon", f"{BLOCK}{BLOCK[:80]}", 7, "is cut short or lacks review/time"),
    (
        "amazon",
        f"{BLOCK}{BLOCK.split(NEXT)[0]}",
        7,
        "is cut short or lacks review/time",
    ),
    ("amazon", "A2IB,B003AI2VGA,5.0,1588687728923\n", 1, "the header is missing"),
    ("amazon", "user_id,asin,rating,timestamp\n", 1, "the header lacks parent_asin"),
    ("amazon", BLOCK.replace("review/text", "review/time"), 1, "repeats review/time"),
    ("amazon", BLOCK.replace("3.0", "7.0"), 1, "rating '7.0' is not above 0 and up"),
    ("amazon", BLOCK.replace("A141", "A 14"), 1, "user 'A 14HP4LYPWMSR' is not an id"),
    ("amazon", f"{JSON}{JSON[:50]}\n{JSON}", 2, "is not JSON"),
    ("amazon", f"{JSON}[3]\n", 2, "is not a JSON object"),
    ("amazon", f"{JSON}{JSON.replace('5.0', 'NaN')}", 2, "is not JSON (it holds NaN)"),
    ("amazon", f"{JSON}{JSON.replace('5.0', '1e999')}", 2, "a number or text that can"),
    ("amazon", f"{JSON}{JSON[:-1]}{JSON}", 2, "is not JSON (Extra data"),
    ("amazon", f"A2IBPI20UZIR0U,1384719342,5,{'9' * 20}\n", 1, "is no time in seconds"),
    ("amazon", f"{JSON}{JSON.replace('overall', 'all')}", 2, "rating is missing"),
    ("amazon", f"{JSON}{JSON.replace('5.0', 'null')}", 2, "rating is missing"),
    ("amazon", "A2IBPI20UZIR0U,1384719342,5,x\n", 1, "time 'x' is not a number"),
    ("libffm", "1 0:2:3\n1 7\n", 2, "feature id '' is not a whole number"),
    ("libffm", "1 0:2:3\n1 a:7:1\n", 2, "field 'a' is not a whole number"),
    ("libffm", "1 0:2:3\n1 0:7:1:1\n", 2, "feature value '1:1' is not a number"),
    ("movielens-tag", "1::2::3\n", 1, "the header lacks"),
    ("movielens-tag", "1::2::::4\n", 1, "tag is missing"),
    ("movielens-tag", "1::2::a::b::4\n", 1, "has 5 fields instead of 4"),
    ("movielens-tag", "1::2::a::4\n1::2::b::x\n", 2, "timestamp 'x' is not a number"),
    ("movielens-tag", f'{TAGS}1,2,"a,4\n', 2, "a quote that is not closed"),
    (
        "movielens-tag",
        f'{TAGS}1,2,"a""b",4\n2,2,c,4\n3,2,d,4\n4,2,a"b"c,4\n',
        5,
        "a quote within a field",
    ),
    ("movielens-tag", f'{TAGS}1,2,"a" b,4\n', 2, "a quote within a field"),
    ("avazu", AVAZU.replace("click,", ""), 1, "a test file without labels"),
    ("avazu", AVAZU.replace("C14,", ""), 1, "the header lacks C14"),
    ("avazu", f"1,0,14102100{REST}", 1, "the header lacks id, click"),
    ("avazu", f"{AVAZU}1,0,14102100,2\n", 2, "has 4 fields instead of 24"),
    ("avazu", f"{AVAZU}1,2,14102100{REST}", 2, "click '2' is not 0 or 1"),
    ("avazu", f"{AVAZU}1,,14102100{REST}", 2, "click is missing"),
    ("avazu", f"{AVAZU}1,1,14102124{REST}", 2, "hour '14102124' is not of the form"),
    ("avazu", f"{AVAZU}1,1,2014102100{REST}", 2, "hour '2014102100' is not of the"),
    ("avazu", f"{AVAZU}1,1,{REST}", 2, "hour is missing"),
    ("criteo", ADS[1:], 1, "a test file without labels"),
    ("criteo", f"1{ADS}2{ADS}", 2, "label '2' is not 0 or 1"),
    ("criteo", f"1{ADS}\t1{ADS}", 2, "has 41 fields instead of 40"),
    ("criteo", f"1\t1{ADS}1{ADS}", 1, "has 41 fields instead of 40"),
    ("criteo", f"1\tx{ADS[2:]}", 1, "I1 'x' is no integer"),
    ("frappe", FRAPPE.replace("city", "town"), 1, "the header lacks city"),
    ("frappe", f"{FRAPPE}\t2" + "\ta" * 9 + "\n", 2, "user is missing"),
    ("libfm", "1 2:3\n1 -2:3\n", 2, "feature id '-2' is negative"),
    ("libfm", "1 2:3\n1 2:x\n", 2, "feature value 'x' is not a number"),
    ("movielens", "1,2,3,4\n", 1, "the header lacks userId"),
    ("movielens", f"{RATINGS}1,2,3,4\n1,2,9,4\n", 3, "rating '9' is not above 0"),
    ("movielens", f"{RATINGS}1,x,3,4\n", 2, "movie 'x' is not a whole number"),
    ("movielens", "1::2::3\n", 1, "the header lacks"),
    ("movielens", "1::2::3::4\n1::2\x1f3::4\n", 2, "holds the byte b'\\x1f'"),
    ("movielens", "1::2::3::4\n\u0661::2::3::4\n", 2, "is not a whole number"),
    ("movielens", "1\t2\t3\t4\n\t\t\t\n1\n", 2, "rating is missing"),
    ("movielens", "1::2::3::1e300\n", 1, "is no time in seconds"),
    ("table", "1,a\n", 1, "the header lacks y"),
    ("table", "y,u,u\n1,a,b\n", 1, "names a column twice"),
    ("table", "y,u\n1,a\n,b\n", 3, "y is missing"),
    ("table", "y,u\n1,a\nyes,b\n", 3, "y 'yes' is not a number (the description says"),
    ("table", 'y,u\n1,a\n1,"b\n', 3, "a quote that is not closed"),
    ("table", 'y,u\n1,"a\na"\n1,b,c\n', 4, "has 3 fields instead of 2"),
]
OPTIONS = {"table": {"description": parse_description({"label": "y", "format": "csv"})}}


def test_every_source_of_the_table_has_cases() -> None:
    assert {case[0] for case in CASES} == set(source_names())


@pytest.mark.parametrize(("source", "text", "line", "reason"), CASES)
def test_a_row_or_header_that_is_wrong_is_told_with_its_place(
    source: str,
    text: str,
    line: int,
    reason: str,
    prepare_into: Prepare,
    tmp_path: Path,
) -> None:
    (tmp_path / "raw.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        prepare_into(source, tmp_path / "raw.txt", **OPTIONS.get(source, {}))
    message = str(caught.value)
    assert f"raw.txt, line {line}: " in message
    assert reason in message
    assert "; " in message
    assert "\n" not in message
