"""Refusals in Vietnamese: for each sentence with which an entry, or an incident pack, is refused, what a page says.

The English sentence stands once, where it is raised, and is the key; programs and English pages get it as it is.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from hub.web.mealforms import MEALS
from protocol.errors import Refused

REFUSALS: Final = {
    # --- days, months, moments ------------------------------------------------------------------------------------
    "{day} lies too far back, or ahead": "ngày {day} quá xa trong quá khứ hoặc tương lai",
    "{unknown}": "ngày này nằm ngoài những năm mà máy chủ biết",
    "at: {unknown}": "thời điểm này nằm ngoài những năm mà máy chủ biết",
    "{month!r} is no month such as 2026-11": "“{month}” không phải là tháng, ví dụ 2026-11",
    "the month {month} isn't over": "tháng {month} chưa hết",
    "month: {month} has no meals that were": "tháng {month} chưa có bữa ăn nào đã qua",
    "{first} to {last} is no span of at most {most} days": (
        "từ {first} đến {last} không phải là khoảng tối đa {most} ngày"
    ),
    "{first} is past: sheets of days that were would change": (
        "ngày {first} đã qua: phiếu của những ngày đã qua sẽ bị đổi"
    ),
    "it ends before it begins": "ngày kết thúc đứng trước ngày bắt đầu",
    "the leave ends before it begins": "ngày cuối của đơn nghỉ đứng trước ngày đầu",
    "last: {text!r} is no day such as 2026-11-26": "ngày cuối “{text}” không phải là ngày, ví dụ 2026-11-26",
    "last: {text} lies too far back, or ahead": "ngày cuối {text} quá xa trong quá khứ hoặc tương lai",
    "from: {text!r} is no day such as 2026-11-23": "ngày bắt đầu “{text}” không phải là ngày, ví dụ 2026-11-23",
    "seen: {clock!r} is no time such as 11:20": "“{clock}” không phải là giờ, ví dụ 11:20",
    "seen: {problem}": "thời điểm không đúng dạng",
    "seen: the moment lies too far back": "thời điểm quá xa trong quá khứ",
    "seen: the moment lies too far back, or in the future": "thời điểm quá xa trong quá khứ, hoặc chưa đến",
    "seen: no gate was open yet, the first one opened at {opens}": (
        "lúc đó chưa cổng nào mở; cổng đầu tiên mở lúc {opens}"
    ),
    "the moment lies in the future": "thời điểm này chưa đến",
    "the meal lies in the future": "bữa ăn này chưa diễn ra",
    # --- who, which class, why ------------------------------------------------------------------------------------
    "by: who enters it is a name of at most {most} characters": "tên người nhập có tối đa {most} ký tự",
    "reason: at most {most} characters of one line": "lý do là một dòng, tối đa {most} ký tự",
    "reason: why days that were are changed must be said": "đổi những ngày đã qua thì phải ghi lý do",
    "reason: why there is no meal must be said": "phải ghi lý do vì sao không có bữa ăn",
    "reason: why the sheet is adjusted must be said": "phải ghi lý do điều chỉnh phiếu",
    "reason: why a month that was stated changes must be said": "tháng đã chốt mà đổi thì phải ghi lý do",
    "reason: why it isn't waited for must be said": "phải ghi lý do vì sao không chờ thiết bị",
    "{student!r} is no pupil of this school": "trường không có học sinh “{student}”",
    "{student} is no pupil of this school on {day}": "ngày {day} trường không có học sinh {student}",
    "{student} is no pupil of this school on these days": "những ngày này trường không có học sinh {student}",
    "{strange}: not of class {school_class} on that day": "{strange}: hôm đó không thuộc lớp {school_class}",
    "{strange}: no class of the school on that day": "{strange}: hôm đó trường không có lớp này",
    "class {school_class} has no pupils on {day}": "ngày {day} lớp {school_class} không có học sinh",
    "class: whose list it is must be said": "phải chọn lớp của danh sách này",
    # --- meals: enrolment, cuts, portions, diets ------------------------------------------------------------------
    "meals: each one of {meals}, once": "mỗi bữa ăn chọn một lần, trong các bữa của trường",
    "meals: which meals they eat must be said": "phải chọn các em ăn bữa nào",
    # --- the meal plan --------------------------------------------------------------------------------------------
    "a plan has at least one meal; where there is none on a day, say that there is no meal": (
        "kế hoạch phải có ít nhất một bữa; ngày nào không ăn thì báo nghỉ bữa của ngày đó"
    ),
    "{faults}": "kế hoạch bữa ăn tự mâu thuẫn: {faults}",
    "{name}: {problem}": "{name}: {problem}",
    "{count} versions are kept, no more": "đã giữ {count} phiên bản của kế hoạch, không thêm được nữa",
    "{meal} is planned twice": "{meal} được ghi hai lần",
    "{meal}: shifts must be numbered from 1 in their order": "{meal}: các ca phải đánh số lần lượt từ 1",
    "{meal}, shift {number}: it must open before it closes": "{meal}, ca {number}: giờ bắt đầu phải trước giờ kết thúc",
    "{meal}: the provisional lock comes after the final one": (
        "{meal}: giờ chốt tạm phải không muộn hơn giờ chốt cho bếp"
    ),
    "{meal}: the final lock comes after the meal has begun": "{meal}: phải chốt cho bếp trước khi bữa ăn bắt đầu",
    "a meal has 1 to {most} shifts": "một bữa có từ 1 đến {most} ca",
    "weekdays: on which days there is this meal must be said": "phải chọn các ngày trong tuần có bữa này",
    "{clock!r} is no time such as 10:30": "“{clock}” không phải là giờ, ví dụ 10:30",
    "{station!r} is no counter's name such as quay-1": "“{station}” không phải là tên quầy, ví dụ quay-1",
    "hall: one line of at most 80 characters": "nơi ăn là một dòng, tối đa 80 ký tự",
    # --- which meal -----------------------------------------------------------------------------------------------
    "meal {asked!r} is not one of {meals}": "không có bữa “{asked}”",
    "the school's plan has no {meal}": "kế hoạch của trường không có {meal}",
    "weekdays: each a number from 0 (Monday) to 6, once": "mỗi thứ trong tuần chọn một lần",
    "weekdays: on which days they eat must be said": "phải chọn các em ăn vào những thứ nào",
    "portion {portion!r} is not one of {portions}": "không có loại suất “{portion}”",
    "how = {how!r} is not one of {hows}": "cách báo “{how}” không có trong danh sách",
    "there is no cut {cut!r}": "không có lần cắt suất này",
    "alerts: at most {count}, each one line of at most {most} characters": (
        "nhiều nhất {count} món không được ăn, mỗi món một dòng tối đa {most} ký tự"
    ),
    # --- the kitchen: locks, adjustments, menus, paper lists ------------------------------------------------------
    "the hub's clock isn't set, or it still reads what was said: wait, or use the paper": (
        "máy chủ chưa chắc giờ, hoặc còn đang đọc những lời đã ghi: chờ một chút, hoặc dùng giấy"
    ),
    "the sheet of {meal} on {day} is frozen: it can only be adjusted": (
        "phiếu {meal} ngày {day} đã chốt: chỉ điều chỉnh được"
    ),
    "the sheet of {meal} on {day} isn't frozen yet: enter what it is about": (
        "phiếu {meal} ngày {day} chưa chốt: hãy ghi thẳng việc cần ghi"
    ),
    "classes: more would be taken than there is": "bớt nhiều hơn số suất đang có",
    "{day}: a sheet can be frozen from {ahead} days before its day to {back} days after it": (
        "ngày {day}: chỉ chốt được phiếu từ {ahead} ngày trước đến {back} ngày sau ngày ăn"
    ),
    "{day} is past: nobody cooks by a provisional sheet of it any more": (
        "ngày {day} đã qua: không ai nấu theo phiếu tạm của ngày đó nữa"
    ),
    "{meal}: nobody was registered or ate in {month}: there is nothing to state": (
        "{meal}: tháng {month} không em nào đăng ký hay có ăn, nên không có gì để chốt"
    ),
    "seen: it is a moment of {day}, the meal's day": "giờ ăn phải là một giờ của ngày {day}",
    "classes: nothing is adjusted": "chưa điều chỉnh suất nào",
    "classes: at most {most} portions at once": "mỗi lần điều chỉnh tối đa {most} suất",
    "number: the sheet has {count} adjustments; read it again": "phiếu đã có {count} lần điều chỉnh; hãy xem lại",
    "{meal}: a lock of {day} has passed, or would have; another lock or half-day, or no such meal, can hold from the"
    " next day on; where there is none on that day, say that there is no meal": (
        "{meal}: ngày {day} đã qua giờ chốt, cũ hoặc mới; giờ chốt khác, buổi khác hoặc bỏ bữa chỉ áp dụng từ ngày sau;"
        " hôm đó không nấu thì ghi là không có bữa ăn"
    ),
    "dish: its name, one line": "tên món là một dòng chữ",
    "dish: the last one of a meal is changed, not taken away": "món cuối cùng của bữa thì sửa, không bỏ",
    "{count} dishes, at most {most} of a meal": "đã có {count} món, mỗi bữa tối đa {most}",
    "{count} dishes, at most {most} at once": "{count} món, mỗi lần tối đa {most}",
    "served: nobody is ticked": "chưa đánh dấu em nào",
    "served: at most {most} pupils, each once": "tối đa {most} học sinh, mỗi em một lần",
    # --- servings, months, complaints -----------------------------------------------------------------------------
    "why = {why!r} is not undone, done, second or repeat": "cách xác định “{why}” không có trong danh sách",
    "{tap!r}: the card was referred and nobody was served by it; serve by hand": (
        "{tap}: quầy chưa nhận thẻ này nên chưa em nào được ghi; hãy ghi suất bằng tay"
    ),
    "{tap!r} is the first serving: a repeat is of a tray that was served before": (
        "{tap} là suất đầu tiên: chỉ lượt sau một suất đã ghi mới là quẹt lặp"
    ),
    "{tap!r} is no record of a counter": "“{tap}” không phải là lượt của một quầy",
    "day: {day} is not of {month}": "ngày {day} không thuộc tháng {month}",
    "{most} complaints about this month are kept already: speak with the parent": (
        "tháng này đã có {most} khiếu nại: hãy nói chuyện với phụ huynh"
    ),
    "there is no complaint {complaint!r}": "không có khiếu nại này",
    "complaint: there is none of this pupil's month by that name": "tháng này của em không có khiếu nại đó",
    "says: one line of at most {most} characters": "nội dung là một dòng, tối đa {most} ký tự",
    # --- who stands at a counter ----------------------------------------------------------------------------------
    "id: small letters, digits, inner hyphens; shown: a name of at most 64 characters": (
        "mã gồm chữ thường, số, gạch nối ở giữa; tên hiển thị tối đa 64 ký tự"
    ),
    "pin: {least} to {most} digits": "mã PIN có từ {least} đến {most} chữ số",
    "pin: too easy to guess; take one that is no row and not of one or two digits": (
        "mã PIN quá dễ đoán; đừng dùng dãy số liền nhau hay chỉ một, hai chữ số"
    ),
    "a PIN or a card must be given": "phải có mã PIN hoặc thẻ",
    "{count} may take a shift already, no more": "đã có {count} người được nhận ca, không thêm được nữa",
    "{id!r} may take no shift": "“{id}” không phải là người được nhận ca",
    "the PIN is another's who may take a shift": "mã số này là của người đứng quầy khác: chọn mã khác",
    "the card is another's who may take a shift": "thẻ này là của người đứng quầy khác",
    "the card is a pupil's": "thẻ này là của học sinh",
    "{problem}": "số thẻ không đúng",
    "this number can't name a card: it is a part, drawn anew at each reading, or misread": (
        "số này không dùng làm số thẻ được: chỉ là một phần, đổi mỗi lần đọc, hoặc đọc lỗi"
    ),
    # --- leave, roll call, admissions, devices --------------------------------------------------------------------
    "half {half!r} is not am or pm": "buổi “{half}” không phải là sáng hay chiều",
    "there is no leave notice {leave!r}": "không có đơn nghỉ này",
    "the leave notice {leave} has ended by {since}": "đơn nghỉ này đã hết trước ngày {since}",
    "nothing is said of anybody, and nothing is confirmed": "chưa ghi em nào, cũng chưa xác nhận gì",
    "{count} pupils; one roll call has at most {most}": "{count} học sinh; một lần điểm danh tối đa {most}",
    "state {state!r} is not one of {states}": "không có tình trạng “{state}”",
    "there is no admission {admission!r}": "không có lượt cho vào này",
    "the admission {admission} is of {day}": "lượt cho vào này là của ngày {day}",
    "there is no device {device!r} whose records count": "không có thiết bị “{device}” đang được tính",
    # --- cards ----------------------------------------------------------------------------------------------------
    "no whole card number is named, or it isn't known here": "chưa có số thẻ đầy đủ, hoặc ở đây chưa biết thẻ này",
    "the card isn't known here": "ở đây chưa biết thẻ này",
    "the card isn't this pupil's": "thẻ này không phải của em này",
    "the card wasn't this pupil's": "thẻ này chưa từng là của em này",
    "the card is this pupil's: it isn't lost": "thẻ vẫn là của em này: thẻ không báo mất",
    "the card was reported lost; say `found` first": "thẻ đã báo mất; hãy ghi là tìm thấy trước",
    "the card is counter staff's, who take their shift by it; use another one": (
        "thẻ này là của người đứng quầy, dùng để nhận ca; hãy dùng thẻ khác"
    ),
    "the card is another pupil's; say `returned` first": "thẻ đang là của em khác; hãy ghi là thu lại trước",
    "the pupil has left the school": "em này đã rời trường",
    "the class has no pupils today": "hôm nay lớp không có học sinh",
    "the pupil is not of this class": "em này không thuộc lớp này",
    "the desk is not DEVICE/STATION": "không có bàn phát thẻ này",
    # --- who has eaten --------------------------------------------------------------------------------------------
    "exactly one of meal, lot and hours must be given": "chọn đúng một: bữa ăn, lô, hoặc số giờ gần đây",
    "{text!r} is no meal; there are {meals}": "không có bữa “{text}”",
    "{text!r} is no day such as 2026-11-23": "“{text}” không phải là ngày, ví dụ 2026-11-23",
    "{text!r} is not 1 to {most} hours": "“{text}” không phải là từ 1 đến {most} giờ",
    "{day} is no day that was": "ngày {day} chưa đến",
    "a lot has 1 to {most} characters": "mã lô có từ 1 đến {most} ký tự",
    "no menu names the lot {lot!r}": "không thực đơn nào có lô “{lot}”",
    "{key}: {problem}": "danh sách sẽ quá dài: hãy hỏi từng bữa",
    "{name} has {count:,} bytes, at most {most:,} are read": "tệp {name} có {count} byte, tối đa {most}",
    "{name} isn't UTF-8": "tệp {name} không phải là văn bản UTF-8",
    "{name}, line {number}: {whom!r} {word!r} is no pupil who is ill or well": (
        "{name}, dòng {number}: “{whom} {word}” không phải là học sinh bệnh hay khỏe"
    ),
    "{name}, line {number}: {whom!r} is ill and well": "{name}, dòng {number}: “{whom}” vừa bệnh vừa khỏe",
    "{whom!r} is no pupil who is ill or well": "“{whom}” không phải là học sinh bệnh hay khỏe",
    "{number!r} is no version of a pack": "“{number}” không phải là số phiên bản",
    "there is no version {number} of {scope!r}; an exercise is never sent": (
        "không có phiên bản {number}; danh sách diễn tập thì không bao giờ gửi đi"
    ),
    "version {number} was sent already on {sent}": "phiên bản {number} đã gửi lúc {sent}",
}
"""English with its names in braces -> Vietnamese, which may leave values out; tests hold each sentence to it."""


def refusal_words(language: str, problem: Refused) -> str:
    """Why something is refused, as a page says it; English where a sentence has no Vietnamese yet.

    Days are shown as people write them, and a meal by its name.
    """
    said = REFUSALS.get(problem.said)
    if language != "vi" or said is None:
        return str(problem)
    return said.format(**{name: _shown(value) for name, value in problem.values.items()})


def _shown(value: object) -> object:
    if isinstance(value, date):
        return f"{value:%d/%m/%Y}"
    # In the middle of a sentence.
    return MEALS[value].lower() if isinstance(value, str) and value in MEALS else value
