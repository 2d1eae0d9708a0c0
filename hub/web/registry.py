"""The registry: every page in one table - path, right, title - and the rule that each route is held to.

Menu, docs/reference/pages.md and the tests of roles and routes come from here. What no rule lets in stays outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hub.access.rights import Right

Of = Literal["school", "class", "object", "own"]
"""What a right is asked for: the whole school; the class that the address names (`?class=` or a part of the path);
an object whose class the route finds out and asks with `Visit.must`; or nothing but one's own."""
KIB: Final = 1024
BODY_BYTES_MAX: Final = 64 * KIB
"""Of a request, where its route takes no files."""


def N_(text: str) -> str:
    """Marks a text for the catalogs; it is translated where it is shown."""
    return text


@dataclass(frozen=True, slots=True)
class Rule:
    """What lets a request in.

    `right` "open": anybody. `here`: also without a login from this very machine, as programs on it ask. `what` names
    the act in the audit; `writes` says that it changes something. `body_max`: bytes of a body.
    """

    right: Right | Literal["open"]
    of: Of
    what: str
    writes: bool = False
    here: bool = False
    api: bool = False
    body_max: int = BODY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Page:
    """A page that people open. `menu` is the group it stands in, None: it is reached from another page.

    A path in the menu has no variable part; a class page is opened for one's own class.
    """

    path: str
    right: Right | Literal["open"]
    title: str
    of: Of = "school"
    menu: str | None = None
    here: bool = False


TODAY: Final = N_("Hôm nay")
MEALTIMES: Final = N_("Bữa ăn")
LISTS: Final = N_("Danh sách")
MACHINES: Final = N_("Thiết bị")
PEOPLE: Final = N_("Người dùng")
MENUS: Final = (TODAY, MEALTIMES, LISTS, MACHINES, PEOPLE)
"""Groups of the menu, in their order."""

PAGES: Final = (
    Page("/", "account", N_("Bắt đầu"), of="own"),
    Page("/login", "open", N_("Đăng nhập")),
    Page("/first/{secret}", "open", N_("Đặt mật khẩu")),
    Page("/me", "account", N_("Tài khoản của tôi"), of="own", menu=PEOPLE),
    Page("/devices", "see-devices", N_("Thiết bị và trạng thái"), menu=MACHINES, here=True),
    Page("/ca", "open", N_("Chứng chỉ HTTPS")),
    Page("/today", "see-today", N_("Sáng nay"), menu=TODAY),
    Page("/roll", "see-class", N_("Điểm danh đầu giờ"), of="class", menu=TODAY),
    Page("/class", "see-class", N_("Bảng lớp"), of="class", menu=TODAY),
    Page("/class/red", "see-class", N_("Sửa đổi của lớp"), of="class"),
    Page("/gate", "see-gate", N_("Bảng cổng"), menu=TODAY),
    Page("/guard", "see-gate", N_("Cho vào không thẻ"), menu=TODAY),
    Page("/onsite", "see-onsite", N_("Đang ở trường"), of="class", menu=TODAY),
    Page("/incident", "see-incident", N_("Ai đã ăn"), menu=TODAY),
    Page("/pupil/{key}", "see-pupil", N_("Một ngày của học sinh"), of="object"),
    Page("/meals", "see-portions", N_("Suất ăn và phiếu bếp"), menu=MEALTIMES),
    Page("/meals/live", "see-servings", N_("Quầy đang phục vụ"), menu=MEALTIMES),
    Page("/meals/public", "see-portions", N_("Công khai suất ăn trong ngày"), menu=MEALTIMES),
    Page("/meals/conflicts", "see-servings", N_("Cần đối chiếu về bữa ăn"), of="class", menu=MEALTIMES),
    Page("/meals/cuts", "see-cuts", N_("Cắt suất ăn"), of="class", menu=MEALTIMES),
    Page("/meals/enrolments", "see-cuts", N_("Đăng ký ăn bán trú"), of="class", menu=MEALTIMES),
    Page("/meals/diets", "diets", N_("Suất riêng và dị ứng"), of="class", menu=MEALTIMES),
    Page("/meals/paper", "settle-servings", N_("Nhập danh sách ăn của lớp"), of="class", menu=MEALTIMES),
    Page("/meals/month", "reports", N_("Tháng ăn bán trú"), of="class", menu=MEALTIMES),
    Page("/meals/slip", "reports", N_("Phiếu ăn gửi phụ huynh"), of="object"),
    Page("/meals/menu", "see-cooking", N_("Thực đơn và mẫu lưu"), menu=MEALTIMES),
    Page("/meals/ratings", "see-portions", N_("Ý kiến về bữa ăn"), menu=MEALTIMES),
    Page("/meals/plan", "calendar", N_("Giờ ăn, ca và giờ chốt"), menu=MEALTIMES),
    Page("/meals/counters", "counter-staff", N_("Người đứng quầy"), menu=MEALTIMES),
    Page("/roster", "roster", N_("Danh sách học sinh"), menu=LISTS),
    Page("/calendar", "calendar", N_("Lịch và giờ học"), menu=LISTS),
    Page("/paper", "see-class", N_("Danh sách để in"), of="class", menu=LISTS),
    Page("/paper/gate", "admit-at-gate", N_("Danh sách cổng để in"), menu=LISTS),
    Page("/paper/entry", "mark-class", N_("Nhập lại sổ giấy"), of="class", menu=LISTS),
    Page("/city", "see-city", N_("Đường lên thành phố"), menu=MACHINES),
    Page("/reports", "reports", N_("Báo cáo"), of="class", menu=LISTS),
    Page("/reports/month", "reports", N_("Sổ điểm danh tháng"), of="class"),
    Page("/reports/day", "reports", N_("Tổng hợp ngày"), of="class"),
    Page("/reports/term", "reports", N_("Số buổi trong học kỳ"), of="class"),
    Page("/messages", "messages", N_("Tin nhắn phụ huynh"), menu=LISTS),
    Page("/messages/consent", "messages", N_("Đồng ý nhận tin")),
    Page("/city/files", "see-city", N_("Tệp gửi thành phố"), menu=MACHINES),
    Page("/cards", "cards", N_("Thẻ"), menu=LISTS),
    Page("/cards/class", "check-card", N_("Thẻ của lớp"), of="class", menu=LISTS),
    Page("/cards/pupil", "check-card", N_("Thẻ của học sinh"), of="object"),
    Page("/cards/desk", "cards", N_("Phát thẻ"), menu=LISTS),
    Page("/cards/check", "check-card", N_("Thẻ còn tốt?"), of="object", menu=LISTS),
    Page("/users", "see-users", N_("Người dùng và quyền"), menu=PEOPLE),
    Page("/users/new", "users", N_("Thêm người dùng")),
    Page("/tokens", "see-users", N_("Mã truy cập của chương trình"), menu=PEOPLE),
    Page("/audit", "see-audit", N_("Nhật ký truy cập"), menu=PEOPLE),
)
"""Every page there is."""


def page_at(path: str) -> Page:
    """The page of a path as written in the table; raises LookupError."""
    for page in PAGES:
        if page.path == path:
            return page
    raise LookupError(f"{path} is not among the PAGES")
