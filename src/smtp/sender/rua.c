#include "smtp/sender/rua.h"
#include "dns/hostname.h"
#include <string.h>

enum { LOCAL_MOST = 64, ADDRESS_MOST = 254, TEXT_MOST = 900 };

/* Nothing that could begin another line or field of what it is put into. */
static bool
is_plain(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] <= ' ' || text.at[i] >= 0x7f ||
		    strchr("<>\"\\(),;[]%", text.at[i]) != NULL)
			return false;
	return text.len > 0 && text.len <= TEXT_MOST;
}

/* rfc5321:4.5.3.1 */
bool
rua_is_address(struct bytes text)
{
	ptrdiff_t at = bytes_find(text, '@');

	return is_plain(text) && text.len <= ADDRESS_MOST && bytes_find(text, ':') < 0 && at > 0 &&
	       at <= LOCAL_MOST && hostname_valid(bytes_cut(text, (size_t)at + 1, SIZE_MAX));
}

static bool
read_address(struct bytes text, struct arena *a, struct rua *out)
{
	if (!rua_is_address(text))
		return false;
	*out = (struct rua){ false, arena_copy(a, text), "" };
	return true;
}

static bool
read_place(struct bytes text, struct arena *a, struct rua *out)
{
	ptrdiff_t    slash = bytes_find(text, '/');
	struct bytes host = slash < 0 ? text : bytes_cut(text, 0, (size_t)slash);

	if (bytes_ends_nocase(host, BYTES(":443")))
		host.len -= 4;
	if (!hostname_valid(host))
		return false;
	*out = (struct rua){ true, arena_copy(a, arena_lower(a, host)),
		             slash < 0 ? "/"
		                       : arena_copy(a, bytes_cut(text, (size_t)slash, SIZE_MAX)) };
	return true;
}

static bool
read_uri(struct bytes uri, struct arena *a, struct rua *out)
{
	if (!is_plain(uri))
		return false;
	if (bytes_starts_nocase(uri, BYTES("mailto:")))
		return read_address(bytes_cut(uri, 7, SIZE_MAX), a, out);
	return bytes_starts_nocase(uri, BYTES("https://")) &&
	       read_place(bytes_cut(uri, 8, SIZE_MAX), a, out);
}

/* "v=TLSRPTv1; rua=mailto:a@example.com,https://example.com/v1" */
static size_t
read_record(struct bytes text, struct arena *a, struct rua out[static RUA_MOST])
{
	struct bytes field, uri;
	size_t       n = 0;
	bool         first = true;

	while (bytes_split(&text, ';', &field)) {
		field = bytes_trim(field);
		if (first && !bytes_equal(field, BYTES("v=TLSRPTv1")))
			return 0;
		first = false;
		if (!bytes_starts(field, BYTES("rua=")))
			continue;
		field = bytes_cut(field, 4, SIZE_MAX);
		while (n < RUA_MOST && bytes_split(&field, ',', &uri))
			n += read_uri(bytes_trim(uri), a, &out[n]);
		return n;
	}
	return 0;
}

/* rfc8460:3: more than one record is none. */
size_t
rua_read(const struct answer *x, struct arena *a, struct rua out[static RUA_MOST])
{
	struct buffer text = { 0 };
	size_t        some = 0, n = 0;

	for (size_t i = 0; x->status == ANSWER_FOUND && i < x->records; i++) {
		buffer_reset(&text);
		if (!answer_strings(&x->record[i], &text) ||
		    !bytes_starts(buffer_bytes(&text), BYTES("v=TLSRPTv1")))
			continue;
		some++;
		n = read_record(buffer_bytes(&text), a, out);
	}
	buffer_free(&text);
	return some == 1 ? n : 0;
}
