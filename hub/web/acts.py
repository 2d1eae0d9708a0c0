"""The acts of the audit in people's words: kept in English as the code names them, shown in the reader's language."""

from __future__ import annotations

from functools import cache
from typing import Final

from hub.web.registry import N_, PAGES
from hub.web.words import Language, translated

ACTS: Final = {
    "add token": N_("thêm mã truy cập"),
    "add user": N_("thêm người dùng"),
    "admission taken back": N_("rút lại lượt cho vào"),
    "admit at gate": N_("cho vào ở cổng"),
    "admitted": N_("đã cho vào không thẻ"),
    "appearance": N_("đổi ngôn ngữ hoặc màu"),
    "card bound": N_("gắn thẻ cho học sinh"),
    "card changed": N_("đổi tình trạng thẻ"),
    "card found": N_("thẻ đã tìm thấy"),
    "card issued": N_("phát thẻ cho học sinh"),
    "card lost": N_("báo mất thẻ"),
    "card replaced": N_("thay thẻ"),
    "card returned": N_("thu lại thẻ"),
    "card taken back": N_("hoàn tác phát thẻ"),
    "card temporary": N_("phát thẻ tạm"),
    "certificate": N_("tải chứng chỉ"),
    "change password": N_("đổi mật khẩu"),
    "consent": N_("ghi sự đồng ý của gia đình"),
    "dead letter closed": N_("đóng bản ghi bị từ chối"),
    "dead letter resent": N_("gửi lại bản ghi bị từ chối"),
    "desk closed": N_("đóng bàn phát thẻ"),
    "desk opened": N_("mở bàn phát thẻ"),
    "desk resumed": N_("mở lại bàn phát thẻ"),
    "desk undone": N_("hoàn tác ở bàn phát thẻ"),
    "device waived": N_("đã không chờ thiết bị"),
    "end session": N_("kết thúc phiên đăng nhập"),
    "erasure": N_("xóa dữ liệu của học sinh"),
    "file for the city taken": N_("tải tệp gửi thành phố"),
    "files for the city made": N_("lập tệp gửi thành phố"),
    "files for the city sent": N_("ghi là đã gửi tệp cho thành phố"),
    "find pupil": N_("tìm học sinh"),
    "find pupil at gate": N_("tìm học sinh ở cổng"),
    "first login": N_("đăng nhập lần đầu"),
    "day summary taken": N_("tải tổng hợp ngày"),
    "incident pack made": N_("lập danh sách ai đã ăn"),
    "incident pack sent": N_("gửi danh sách ai đã ăn cho thành phố"),
    "incident packs": N_("xem các danh sách ai đã ăn"),
    "leave": N_("ghi nghỉ phép"),
    "leave for a day": N_("ghi nghỉ phép trong ngày"),
    "leave taken back": N_("rút lại nghỉ phép"),
    "list checked": N_("xem trước danh sách"),
    "list taken": N_("nhận danh sách"),
    "login": N_("đăng nhập"),
    "login link": N_("tạo liên kết đăng nhập"),
    "logout": N_("đăng xuất"),
    "mark absent": N_("ghi vắng"),
    "mark excused": N_("ghi vắng có phép"),
    "mark late": N_("ghi đi muộn"),
    "mark left-early": N_("ghi về sớm"),
    "mark present": N_("ghi có mặt"),
    "mark pupil": N_("ghi điểm danh"),
    "mark unexcused": N_("ghi vắng không phép"),
    "mark withdrawn": N_("rút lại lời ghi"),
    "counter staff": N_("cho người đứng quầy"),
    "counter staff gone": N_("thôi người đứng quầy"),
    "diet entered": N_("ghi suất riêng hoặc dị ứng"),
    "meal class list": N_("nhập danh sách ăn của lớp"),
    "meal closed": N_("đổi việc có bữa ăn trong ngày"),
    "meal cut": N_("cắt suất ăn"),
    "meal cut taken back": N_("rút lại cắt suất"),
    "meal enrolled": N_("đăng ký ăn"),
    "meal plan": N_("đổi kế hoạch bữa ăn"),
    "menu entered": N_("ghi thực đơn"),
    "meal audit pack taken": N_("tải hồ sơ kiểm toán bữa ăn"),
    "meal complaint": N_("ghi khiếu nại về bữa ăn"),
    "meal complaint answered": N_("trả lời khiếu nại về bữa ăn"),
    "meal month stated": N_("chốt tháng ăn"),
    "meal month taken": N_("tải tháng ăn"),
    "meal slip taken": N_("tải phiếu ăn"),
    "kitchen sheet taken": N_("tải phiếu bếp"),
    "public meal sheet taken": N_("tải công khai suất ăn"),
    "meal sheet adjusted": N_("điều chỉnh phiếu bếp"),
    "meal sheet locked": N_("chốt phiếu bếp"),
    "serving settled": N_("xác định một lượt phục vụ"),
    "month sheet taken": N_("tải sổ điểm danh tháng"),
    "new login link": N_("tạo lại liên kết đăng nhập"),
    "offline script": N_("tải phần xem khi mất mạng"),
    "paper roll call": N_("nhập lại sổ giấy"),
    "pupil chosen at a desk": N_("chọn học sinh ở bàn phát thẻ"),
    "pupil passed over at a desk": N_("bỏ qua học sinh ở bàn phát thẻ"),
    "retention": N_("xóa dữ liệu hết hạn lưu"),
    "revoke token": N_("thu hồi mã truy cập"),
    "revoke user": N_("thu hồi người dùng"),
    "roster checked": N_("xem trước danh sách học sinh"),
    "roster taken": N_("nhận danh sách học sinh"),
    "sign class": N_("ký danh sách lớp"),
    "term totals taken": N_("tải số buổi học kỳ"),
    "timetable bell": N_("sửa giờ chuông"),
    "timetable changed": N_("sửa lịch và giờ học"),
    "timetable confirmed": N_("xác nhận lịch"),
    "diets confirmed": N_("xác nhận dị ứng sau khi khôi phục"),
    "timetable document": N_("tải văn bản lịch"),
    "timetable halves": N_("sửa buổi học trong tuần"),
    "timetable holiday": N_("thêm ngày nghỉ"),
    "timetable make-up": N_("thêm ngày học bù"),
    "timetable no-holiday": N_("bỏ ngày nghỉ"),
    "timetable shift": N_("sửa buổi của lớp"),
    "timetable uploaded": N_("đưa lên văn bản lịch"),
    "token": N_("mã truy cập mới"),
    "token revoked": N_("đã thu hồi mã truy cập"),
    "user": N_("người dùng mới"),
    "user moved": N_("đã đổi lớp của người dùng"),
    "user revoked": N_("đã thu hồi người dùng"),
    "waive device": N_("không chờ thiết bị"),
}
"""Pages are named by their titles and programs' acts by addresses; what is missing here is shown as it is kept."""
SEEN: Final = N_("xem trang: %s")
ASKED: Final = N_("chương trình hỏi: %s")
TOLD: Final = N_("chương trình ghi: %s")
VERBS: Final = {"api": ASKED, "post": TOLD, "put": TOLD, "delete": TOLD}


def act_of(verb: str, path: str) -> str:
    """The act of a route, as it is kept: `see devices`, `api marks`."""
    parts = [part for part in path.removeprefix("/v1").split("/") if part and "{" not in part]
    return f"{verb} {' '.join(parts) or 'start'}"


@cache
def _pages() -> dict[str, str]:
    return {act_of("see", page.path): page.title for page in PAGES}


def act_words(language: Language, act: str) -> str:
    """An act in a language."""
    if act in ACTS:
        return translated(language, ACTS[act])
    if act in _pages():
        return translated(language, SEEN) % translated(language, _pages()[act])
    verb, _, rest = act.partition(" ")
    return translated(language, VERBS[verb]) % rest if verb in VERBS and rest else act


def act_said(words: str) -> str:
    """The act that somebody means by what they read on the page, in either language; else what they wrote."""
    return _said().get(words.casefold(), words)


@cache
def _said() -> dict[str, str]:
    acts = [*ACTS, *_pages()]
    return {act_words(language, act).casefold(): act for language in ("vi", "en") for act in reversed(acts)}


def acts_shown(language: Language) -> list[str]:
    """Every act that has words, in order, to choose from."""
    return sorted({act_words(language, act) for act in (*ACTS, *_pages())}, key=str.casefold)
