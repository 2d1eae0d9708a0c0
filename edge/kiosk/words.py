"""The words of a counter's screens, Vietnamese first, English second; what they mean is decided in view.py."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

Language = Literal["vi", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        # --- the pupils' screen: {pupil} is how the school's staff speak to them -------------------------------------
        "pupil-title": ("Quầy cơm", "Counter"),
        "idle": ("Mời {pupil} chạm thẻ", "Please tap your card"),
        "accepted": ("Đã ghi", "Recorded"),
        "second": ("Mời {pupil} ăn thêm", "Enjoy some more"),
        "repeated": ("Đã ghi rồi", "Recorded already"),
        "referred": ("Mời {pupil} gặp cô", "Please see the teacher"),
        "wait": ("Chờ một chút", "One moment"),
        "fault": ("Máy chưa ghi được", "The machine can't record now"),
        "fault-more": ("{Pupil} vẫn nhận cơm, cô ghi ra giấy", "You get your meal; it is written on paper"),
        "reader-missing": ("Máy đọc thẻ chưa sẵn sàng", "The card reader isn't ready"),
        "reader-missing-more": ("{Pupil} nói tên với cô nhé", "Please tell the teacher your name"),
        "offline": ("Mất kết nối – thẻ vẫn được ghi", "No connection – cards are still recorded"),
        "cut-off": ("Màn hình đang nối lại", "The screen is reconnecting"),
        "cut-off-more": (
            "Thẻ vẫn được ghi khi đèn xanh sáng và máy kêu bíp",
            "A card is recorded when the light is green and the machine beeps",
        ),
        # --- the staff's screen -------------------------------------------------------------------------------------
        "staff-title": ("Quầy phát cơm", "Serving counter"),
        "last": ("Vừa chạm", "Last tap"),
        "nobody-yet": ("Chưa có thẻ nào", "No card yet"),
        "unknown-pupil": ("Chưa biết tên", "Name not known"),
        "shape-accepted": ("Đã ghi", "Recorded"),
        "shape-second": ("Phần thêm, lần {nth}", "Helping number {nth}"),
        "shape-repeated": ("Đã ghi rồi, cùng một khay", "Recorded already, same tray"),
        "shape-refused": ("Mời gặp cô: phát bằng một chạm", "Sent to you: serve with one touch"),
        "shape-wait": ("Máy đang ghi, chờ một chút", "Being recorded, one moment"),
        "shape-alarm": ("Máy báo lỗi, thẻ này chưa ghi", "The machine reports a fault; this card isn't recorded"),
        "ask": ("Hỏi trước khi phát thêm", "Ask before serving more"),
        "alone": ("Có thể là phần thêm", "May be a second helping"),
        "alert": ("Không được ăn", "Must not eat"),
        "confirmed": ("nhà trường đã xác nhận", "confirmed by the school"),
        "unconfirmed": ("mới nghe báo, chưa xác nhận", "only told, not confirmed"),
        "portion-vegetarian": ("Suất chay", "Vegetarian"),
        "portion-porridge": ("Suất cháo", "Porridge"),
        "portion-diet": ("Suất ăn riêng", "Own diet portion"),
        "expected": ("Dự kiến", "Expected"),
        "served": ("Đã phát", "Served"),
        "seconds": ("Phần thêm", "Seconds"),
        "left": ("Còn lại", "Left"),
        "strangers": ("Chưa biết tên: {count}", "Not known by name: {count}"),
        "waiting": ("Thẻ chờ cô", "Waiting for you"),
        "waiting-none": ("Không có thẻ nào chờ", "No card is waiting"),
        "waiting-more": ("và {count} thẻ nữa: bấm 2", "and {count} more: press 2"),
        "recent": ("Năm lượt gần nhất", "Last five servings"),
        "recent-none": ("Chưa phát lượt nào", "Nothing served yet"),
        "serve": ("Phát", "Serve"),
        "undo": ("Hủy", "Undo"),
        "redo": ("Lấy lại", "Redo"),
        "undo-of": ("Hủy lượt của {name} lúc {time}", "Undo the serving of {name} at {time}"),
        "redo-of": ("Lấy lại lượt của {name} lúc {time}", "Redo the serving of {name} at {time}"),
        "serve-of": ("Phát cho {name}, thẻ chạm lúc {time}", "Serve {name}, card of {time}"),
        "to-second": ("Là phần thêm", "Was a second"),
        "to-same": ("Cùng một khay", "Same tray"),
        "repeat": ("trùng, không tính", "repeat, not counted"),
        "undone": ("đã hủy", "undone"),
        "nth": ("lần {nth}", "no. {nth}"),
        "maybe": ("có thể lần 2", "maybe a second"),
        "how-name": ("theo tên", "by name"),
        "how-stranger": ("không thẻ", "no card"),
        "reason-unknown": ("thẻ lạ", "unknown card"),
        "reason-lost": ("thẻ đã báo mất", "card reported lost"),
        "reason-not-enrolled": ("chưa đăng ký ăn", "not enrolled"),
        "reason-ambiguous": ("thẻ của nhiều người", "card of several people"),
        "reason-random": ("thẻ đổi số", "number changes"),
        "reason-misread": ("đọc lỗi", "misread"),
        "reason-other": ("cần cô xem", "needs a look"),
        # --- its head -----------------------------------------------------------------------------------------------
        "breakfast": ("Bữa sáng", "Breakfast"),
        "lunch": ("Bữa trưa", "Lunch"),
        "snack": ("Bữa xế", "Afternoon snack"),
        "dinner": ("Bữa tối", "Dinner"),
        "sitting": ("{meal}, ca {shift}, {opens}–{closes}", "{meal}, shift {shift}, {opens}–{closes}"),
        "no-sitting": ("Ngoài giờ ăn: ai đến vẫn phát", "Outside meal hours: whoever comes is served"),
        "closed": ("Hôm nay trường không nấu", "No meal today"),
        "unsent-none": ("Đã gửi hết", "All sent"),
        "unsent": ("Chưa gửi {count}, cũ nhất {age}", "{count} not sent, oldest {age}"),
        "unsent-unsure": ("Chưa gửi {count}, chưa rõ từ khi nào", "{count} not sent, not known since when"),
        "sheet-unsure": ("Danh sách: chưa rõ cũ hay mới", "List: not known how old"),
        "roster-unsure": ("Thẻ: chưa rõ cũ hay mới", "Cards: not known how old"),
        "sheet-today": ("Danh sách: {age} trước", "List: {age} old"),
        "sheet-yesterday": ("Danh sách của hôm qua", "Yesterday's list"),
        "sheet-other": ("Danh sách của ngày {day}", "List of {day}"),
        "sheet-never": ("Chưa có danh sách", "No list yet"),
        "roster-age": ("Thẻ: {age} trước", "Cards: {age} old"),
        "roster-never": ("Chưa có danh sách thẻ", "No card list yet"),
        "shift-of": ("Ca: {who}", "Shift: {who}"),
        "shift-none": ("Chưa ai nhận ca", "Nobody has the shift"),
        "shift-pin": ("Chưa ai nhận ca: bấm 6 rồi nhập PIN", "Nobody has the shift: press 6, then your PIN"),
        "shift-card": ("Chưa ai nhận ca: chạm thẻ nhân viên", "Nobody has the shift: hold a staff card"),
        "age-s": ("{count} giây", "{count} s"),
        "age-min": ("{count} phút", "{count} min"),
        "age-h": ("{count} giờ", "{count} h"),
        "age-d": ("{count} ngày", "{count} d"),
        # --- troubles: what happened; what was kept, what to do -----------------------------------------------------
        "trouble-failing": (
            "Máy chưa ghi được. Vẫn phát cơm: ghi giấy, nhập lại sau",
            "Nothing can be recorded. Go on serving: write on paper, enter it later",
        ),
        "trouble-reader": (
            "Đầu đọc không trả lời. Phát theo tên (phím 1), xem dây",
            "The reader doesn't answer. Serve by name (key 1), see its cable",
        ),
        "trouble-link": (
            "Mất kết nối. Thẻ vẫn được ghi, tự gửi khi có mạng",
            "No connection. Cards are recorded, and sent later",
        ),
        "trouble-clock": (
            "Chưa chắc giờ. Thẻ vẫn được ghi, giờ được sửa sau",
            "The time isn't certain. Cards are recorded, the time is corrected later",
        ),
        "trouble-unheard": (
            "Chưa nghe quầy khác. Cứ phát, phần thêm đối chiếu sau",
            "Other counters not heard. Go on, seconds are compared later",
        ),
        "trouble-more": ("Và:", "And:"),
        "trouble-screen": (
            "Màn hình gặp lỗi. Thẻ vẫn được ghi: nhìn đèn; màn hình tự mở lại",
            "The screen failed. Cards are still recorded: watch the light; it reopens by itself",
        ),
        # --- what the staff ask for: menu, steps --------------------------------------------------------------------
        "menu": ("Chọn việc", "Choose"),
        "menu-1": ("Phát theo tên", "Serve by name"),
        "menu-2": ("Thẻ chờ cô", "Waiting cards"),
        "menu-3": ("Phát không thẻ", "Serve, no card"),
        "menu-4": ("Hủy, lấy lại", "Undo, redo"),
        "menu-5": ("Thêm hay trùng", "Second or same"),
        "menu-6": ("Nhận, trả ca", "Take, end shift"),
        "menu-7": ("Từng lớp", "By class"),
        "menu-key": ("Bảng phím", "Keys"),
        "keys-title": ("Bảng phím của bàn phím số", "The numeric keypad's keys"),
        "key-star": ("* bảng này; ở chỗ khác: về màn hình chính", "* this table; elsewhere: back to the main screen"),
        "key-digits": ("1–7 chọn việc, chọn dòng; khi tìm: gõ số", "1–7 choose; in a search: type"),
        "key-letters": (
            "Khi tìm: số như phím điện thoại (2 = abc, 3 = def …); lớp 3A = 32, lớp 3/2 = 32",
            "In a search: digits as on a phone (2 = abc, 3 = def …); class 3A = 32, class 3/2 = 32",
        ),
        "key-minus": ("- khoảng trắng; trong danh sách: trang trước", "- space; in a list: page before"),
        "key-plus": (
            "+ hoặc Enter: xong phần gõ, chọn dòng; + trang sau",
            "+ or Enter: done, choose; + next page",
        ),
        "key-slash": (
            "/ ở thẻ chờ: chọn thẻ rồi gõ tên; khi tìm: dấu / của lớp",
            "/ with waiting cards: choose one, then type a name; in a search: the / of a class",
        ),
        "key-enter": ("Enter đồng ý", "Enter confirms"),
        "key-back": ("Backspace xóa một phím, lùi một bước", "Backspace takes a key back, a step back"),
        "key-time": ("Sau {count} giây không bấm: tự về màn hình chính", "After {count} s without a key: main screen"),
        "name-title": ("Phát theo tên", "Serve by name"),
        "name-ask": ("Gõ tên không dấu, hoặc lớp", "Type a name without accents, or a class"),
        "name-none": ("Không thấy ai. Sửa chữ, hoặc * rồi 3: phát không thẻ", "Nobody found. Change it, or * then 3"),
        "name-choose": ("Bấm số của dòng để phát", "Press the line's number to serve"),
        "name-type": ("+ hoặc Enter rồi bấm số của dòng", "+ or Enter, then the line's number"),
        "name-more": ("Hơn {count} em: gõ thêm", "More than {count}: type more"),
        "not-expected": ("không có suất hôm nay", "no portion today"),
        "waiting-title": ("Thẻ chờ cô: bấm số để phát", "Waiting cards: press a number to serve"),
        "waiting-naming": ("Bấm số của thẻ, rồi gõ tên", "Press the card's number, then type a name"),
        "waiting-by-name": ("Phát theo tên", "Serve by name"),
        "name-of": ("Cho thẻ chạm lúc {time}", "For the card of {time}"),
        "stranger-title": ("Phát cho người không có thẻ", "Serve somebody without a card"),
        "stranger-ask": (
            "Enter: phát một suất, chưa biết tên. * không phát",
            "Enter: one portion, no name. * don't",
        ),
        "undo-title": ("Bấm số để hủy hoặc lấy lại", "Press a number to undo or redo"),
        "flip-title": ("Bấm số: phần thêm hay cùng một khay", "Press a number: second helping or same tray"),
        "flip-none": ("Không có lượt nào trùng hay thêm", "No repeat and no second helping"),
        "login-title": ("Nhận ca: chạm thẻ nhân viên, hoặc gõ mã PIN", "Take the shift: staff card, or type your PIN"),
        "login-ask": (
            "Từ {count} số, rồi Enter. * để sau: cứ phát cơm",
            "{count} digits, then Enter. * later",
        ),
        "logout-title": ("Trả ca", "End the shift"),
        "logout-ask": ("Enter: trả ca của {who}. * giữ ca", "Enter: end the shift of {who}. * keep it"),
        "classes-title": ("Từng lớp của ca này", "The classes of this shift"),
        "classes-none": (
            "Ngoài giờ ăn, hoặc chưa có danh sách: chưa có số của lớp",
            "Outside meal hours, or no list yet: no numbers by class",
        ),
        "classes-unnamed": ("Lớp khác", "Others"),
        "classes-more": ("Và {count} lớp nữa", "And {count} more"),
        "class": ("Lớp", "Class"),
        "page": ("Trang {page}/{pages}", "Page {page}/{pages}"),
        "back": ("Trở về", "Back"),
        "clear": ("Xóa", "Delete"),
        "space": ("Cách", "Space"),
        "enter": ("Enter", "Enter"),
        "typed": ("Đã gõ", "Typed"),
        "typed-pin": ("Đã gõ {count} số", "{count} digits typed"),
        # --- what came of it ------------------------------------------------------------------------------------------
        "done-serve": ("Đã phát cho {name}", "Served: {name}"),
        "done-undo": ("Đã hủy lượt của {name} lúc {time}", "Undone: {name} at {time}"),
        "done-redo": ("Đã lấy lại lượt của {name} lúc {time}", "Redone: {name} at {time}"),
        "done-flip": ("Đã đổi lượt của {name} lúc {time}", "Changed: {name} at {time}"),
        "done-login": ("Đã nhận ca", "The shift is yours"),
        "done-logout": ("Đã trả ca", "The shift has ended"),
        "done-late": (
            "{name}: cuối cùng đã ghi được. Đừng nhập lại",
            "{name}: recorded after all. Don't enter it again",
        ),
        "came-repeated": (
            "{name}: đã ghi rồi, không tính thêm. Nếu là phần thêm: phím 5",
            "{name}: recorded already, not counted again. If it is a second helping: key 5",
        ),
        "came-pressed": (
            "{name}: đã ghi rồi, lần bấm này không ghi thêm. Người khác: 2 giây sau bấm lại",
            "{name}: recorded already, this press added nothing. Somebody else: press again in 2 s",
        ),
        "a-stranger": ("người chưa biết tên", "somebody not known by name"),
        "failed-pin-wrong": (
            "Mã PIN không đúng; cứ phát cơm. Gõ lại",
            "Wrong PIN; go on serving. Again",
        ),
        "failed-pin-wait": (
            "Sai nhiều lần: gõ lại sau {wait}. Cứ phát cơm",
            "Wrong too often: type again in {wait}. Go on serving",
        ),
        "failed-pin-short": ("Mã PIN có từ {count} số. Gõ tiếp", "A PIN has {count} digits or more. Go on"),
        "failed-gone": (
            "Dòng này không còn nữa. Lần bấm này không ghi gì: xem lại danh sách",
            "This line isn't there any more. This press recorded nothing: look at the lists",
        ),
        "failed-shift-needed": (
            "Cần có người nhận ca để sửa (phím 6). Lượt phát vẫn giữ nguyên",
            "Somebody must have the shift to correct (key 6). Servings stay as they are",
        ),
        "failed-no-second": (
            "Đây là phần đầu của con này. Không đổi gì",
            "This is a first helping. Nothing has changed",
        ),
        "failed-stray-digits": (
            "Vừa gõ số: chưa phát gì. Mã PIN: * rồi 6. Phát một suất: Enter",
            "Digits were typed: nothing was served. A PIN: * then 6. One portion: Enter",
        ),
        "failed-moved": (
            "Danh sách vừa đổi. Chưa ghi gì, bấm lại",
            "The list moved. Nothing was done, press again",
        ),
        "failed-journal": (
            "Chưa ghi được. Vẫn phát cơm: ghi giấy, nhập lại sau",
            "It couldn't be recorded. Serve, write it on paper, enter it later",
        ),
        "failed-slow-storage": (
            "Máy ghi chậm: lượt của {name} có thể vẫn được ghi. Cứ phát cơm; chờ đèn và tiếng bíp, đừng nhập lại ngay",
            "The disk is slow: {name} may still be recorded. Serve; watch for light and beep before entering it again",
        ),
        "failed-other": ("Chưa làm được, không có gì thay đổi. Bấm lại", "Not done, nothing has changed. Press again"),
        # --- faces ----------------------------------------------------------------------------------------------------
        "rate-title": ("Bữa ăn hôm nay thế nào?", "How was your meal?"),
        "face-good": ("Ngon", "Good"),
        "face-fair": ("Tạm được", "All right"),
        "face-bad": ("Chưa ngon", "Not good"),
        "rate-thanks": ("Cảm ơn {pupil}!", "Thank you!"),
        "rate-failed": ("Chưa ghi được. {Pupil} bấm lại sau nhé", "Not recorded. Please try again later"),
        # --- pages that aren't shown --------------------------------------------------------------------------------
        "start-title": ("Màn hình của quầy", "The counter's screens"),
        "start-pupil": ("Màn hình học sinh", "Pupils' screen"),
        "start-staff": ("Màn hình nhân viên", "Staff screen"),
        "start-rate": ("Ba khuôn mặt", "Three faces"),
        "error-title": ("Chưa mở được trang này", "This page can't be opened"),
        "error-station-unknown": (
            "Quầy này không có ở máy này. Không mất gì cả. Chọn một quầy dưới đây",
            "This gateway has no such counter. Nothing is lost. Choose one below",
        ),
        "error-other": (
            "Không mất gì cả: thẻ vẫn được ghi. Mở lại từ đây",
            "Nothing is lost: cards are still recorded. Begin again here",
        ),
    }
)
"""Key -> (Vietnamese, English); text between braces is filled in."""


def say(language: Language, key: str, /, pupil: str = "con", **values: object) -> str:
    """The words of a key, filled in; `pupil` is how staff speak to pupils (`con`, `em`). Raises KeyError."""
    return WORDS[key][LANGUAGES.index(language)].format(pupil=pupil, Pupil=pupil.capitalize(), **values)


def age(language: Language, seconds: int) -> str:
    """How old something is, to the unit that matters: 59 s, 59 min, 47 h, then days."""
    if seconds < 60:
        return say(language, "age-s", count=max(0, seconds))
    if seconds < 3600:
        return say(language, "age-min", count=seconds // 60)
    if seconds < 48 * 3600:
        return say(language, "age-h", count=seconds // 3600)
    return say(language, "age-d", count=seconds // 86_400)
