#include "store/snapshot.h"

#include "base/checksum.h"

uint32_t
snapshot_sum(uint64_t mailbox, uint64_t modseq, struct bytes data)
{
	struct buffer key = { 0 };
	uint32_t      sum;

	pack_u64(&key, mailbox);
	pack_u64(&key, modseq);
	sum = checksum_more(checksum_of(buffer_bytes(&key)), data);
	buffer_free(&key);
	return sum;
}

void
snapshot_pack(const struct snapshot *s, const struct rows *r, struct buffer *out)
{
	pack_u8(out, SNAPSHOT_VERSION);
	pack_u32(out, s->uidnext);
	pack_u8(out, (uint8_t)s->keywords);
	for (int i = 0; i < s->keywords; i++)
		pack_bytes(out, s->keyword[i]);
	rows_pack(r, 0, r->count, out);
	snapshot_close(s, out);
}

void
snapshot_close(const struct snapshot *s, struct buffer *out)
{
	pack_u32(out, snapshot_sum(s->mailbox, s->modseq, buffer_bytes(out)));
}

bool
snapshot_read(struct bytes data, struct snapshot *s, struct rows *r)
{
	uint32_t      before = r->count;
	uint8_t       version;
	struct unpack tail, body;

	if (data.len < 4)
		return false;
	tail = unpack_of(bytes_cut(data, data.len - 4, 4));
	data.len -= 4;
	if (unpack_u32(&tail) != snapshot_sum(s->mailbox, s->modseq, data))
		return false;
	body = unpack_of(data);
	version = unpack_u8(&body);
	if (version < 1 || version > SNAPSHOT_VERSION)
		return false;
	s->uidnext = unpack_u32(&body);
	s->keywords = unpack_u8(&body);
	if (s->keywords > KEYWORDS_MOST)
		return false;
	for (int i = 0; i < s->keywords; i++)
		s->keyword[i] = unpack_bytes(&body);
	if (rows_unpack(&body, version == 1 ? ROWS_NARROW : ROWS_WIDE, r) && unpack_done(&body) &&
	    s->uidnext > 0 && (r->count == 0 || r->uid[r->count - 1] < s->uidnext))
		return true;
	r->count = before;
	return false;
}
