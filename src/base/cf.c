#include "base/cf.h"

static const struct bytes byte_order_mark = { "\xef\xbb\xbf", 3 };

bool
cf_next(struct bytes *rest, struct cf_line *line)
{
	ptrdiff_t    n = bytes_find(*rest, '\n');
	struct bytes whole = n < 0 ? *rest : bytes_cut(*rest, 0, (size_t)n + 1);

	if (whole.len == 0)
		return false;
	*rest = bytes_cut(*rest, whole.len, rest->len);
	line->whole = whole;
	if (line->number++ == 0 && bytes_starts(whole, byte_order_mark))
		whole = bytes_cut(whole, byte_order_mark.len, whole.len);
	line->text = bytes_trim(whole);
	if (line->text.len == 0 || line->text.at[0] == '#')
		line->kind = CF_REMARK;
	else
		line->kind = line->text.at == whole.at ? CF_BEGIN : CF_MORE;
	return true;
}

struct bytes
cf_name(struct bytes text, struct bytes *value)
{
	ptrdiff_t equals = bytes_find(text, '=');

	*value = (struct bytes){ NULL, 0 };
	if (equals < 0)
		return text;
	*value = bytes_trim(bytes_cut(text, (size_t)equals + 1, text.len));
	return bytes_trim(bytes_cut(text, 0, (size_t)equals));
}
