"""Troubles in words: what happened, what was kept, what to do, for each code that a page can end with."""

from __future__ import annotations

from typing import Final

from hub.web.registry import N_

KEPT: Final = N_("Chưa có gì thay đổi.")
BACK: Final = N_("Quay lại trang trước và thử lại.")
TROUBLES: Final = {
    "not-allowed": (
        N_("Vai trò của bạn không được làm việc này."),
        KEPT,
        N_("Nếu bạn cần việc này, hãy hỏi hiệu trưởng hoặc bộ phận kỹ thuật."),
    ),
    "login-needed": (N_("Bạn chưa đăng nhập."), KEPT, N_("Hãy đăng nhập rồi thử lại.")),
    "foreign-origin": (
        N_("Yêu cầu không đến từ trang của trường."),
        KEPT,
        N_("Mở lại trang của trường và làm từ đó."),
    ),
    "form-expired": (
        N_("Biểu mẫu này đã cũ."),
        KEPT,
        N_("Mở lại trang, nhập lại và gửi."),
    ),
    "too-large": (N_("Tệp hoặc dữ liệu gửi lên quá lớn."), KEPT, N_("Hãy gửi tệp nhỏ hơn.")),
    "invalid-request": (N_("Dữ liệu gửi lên không đúng dạng."), KEPT, BACK),
    "link-used": (
        N_("Liên kết này đã dùng rồi hoặc đã hết hạn."),
        KEPT,
        N_("Hãy xin bộ phận kỹ thuật một liên kết mới."),
    ),
    "own-user": (
        N_("Bạn không thể thu hồi chính mình."),
        KEPT,
        N_("Hãy nhờ một người khác có quyền, hoặc dùng lệnh trên máy chủ."),
    ),
    "reason-needed": (
        N_("Cần một lý do."),
        KEPT,
        N_("Chọn hoặc ghi lý do rồi gửi lại."),
    ),
    "entry-refused": (
        N_("Điều vừa nhập không ghi được: ngày, lớp hoặc học sinh không khớp, hoặc đã có người đổi trước."),
        KEPT,
        N_("Mở lại trang để xem tình trạng bây giờ, rồi nhập lại."),
    ),
    "status-404": (N_("Không có trang này."), KEPT, N_("Về trang bắt đầu và chọn lại.")),
    "login-busy": (N_("Đang có quá nhiều người đăng nhập cùng lúc."), KEPT, N_("Hãy thử lại sau vài giây.")),
    "no-student": (N_("Không có học sinh này."), KEPT, N_("Tìm lại học sinh theo tên.")),
    "no-desk": (
        N_("Không có bàn phát thẻ này."),
        KEPT,
        N_("Chạm một thẻ bất kỳ vào đầu đọc ở bàn, rồi mở lại trang và chọn bàn."),
    ),
    "file-gone": (N_("Tệp đã chọn không còn được giữ."), KEPT, N_("Chọn lại tệp và xem trước lần nữa.")),
    "empty-class": (N_("Lớp này hôm nay không có học sinh."), KEPT, N_("Chọn một lớp khác.")),
    "report-refused": (
        N_("Báo cáo này không lập được."),
        KEPT,
        N_("Chọn những ngày đã qua, một lớp có học sinh trong thời gian đó, và không quá 400 ngày."),
    ),
    "reports-busy": (N_("Đang lập một báo cáo khác."), KEPT, N_("Hãy thử lại sau nửa phút.")),
    "ledger-full": (
        N_("Ổ đĩa của máy chủ đã đầy."),
        N_("Mọi lượt chạm vẫn được giữ ở thiết bị; thay đổi vừa rồi chưa được ghi."),
        N_("Báo bộ phận kỹ thuật; sau khi có chỗ trống hãy làm lại."),
    ),
}
OTHER: Final = (
    N_("Máy chủ không làm được việc này lúc này."),
    KEPT,
    N_("Thử lại sau ít phút; nếu vẫn vậy, báo mã lỗi cho bộ phận kỹ thuật."),
)


def troubles(status: int, code: str) -> tuple[str, str, str]:
    """What happened, what was kept, what to do."""
    if code not in TROUBLES and status in (405, 415, 422, 400):
        return TROUBLES["invalid-request"]
    return TROUBLES.get(code, OTHER)
