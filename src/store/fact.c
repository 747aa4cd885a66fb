#include "store/fact.h"

#include "base/checksum.h"

void
fact_arrived(struct buffer *out, uint64_t from, const struct rows *r, uint32_t first,
             uint32_t count)
{
	pack_number(out, from);
	rows_pack(r, first, count, out);
}

void
fact_flags(struct buffer *out, enum flags_how how, uint64_t flags, const struct keyset *keywords,
           const struct uid_set *set)
{
	pack_u8(out, (uint8_t)how);
	pack_number(out, flags & SYSTEM_FLAGS);
	keyset_pack(out, keywords);
	pack_uids(out, set);
}

void
fact_expunged(struct buffer *out, const struct uid_set *set)
{
	pack_uids(out, set);
}

void
fact_keyword(struct buffer *out, int bit, struct bytes name)
{
	pack_u8(out, (uint8_t)bit);
	pack_bytes(out, name);
}

void
fact_list(struct buffer *out, uint64_t id, uint64_t more, uint64_t uidvalidity, const char *name,
          const char *other)
{
	pack_number(out, id);
	pack_number(out, more);
	pack_number(out, uidvalidity);
	pack_string(out, name);
	pack_string(out, other);
}

static uint32_t
sum_of(const struct fact_key *key, struct bytes data)
{
	struct buffer head = { 0 };
	uint32_t      sum;

	pack_u64(&head, key->mailbox);
	pack_u64(&head, key->modseq);
	pack_u32(&head, (uint32_t)key->kind);
	pack_i64(&head, key->time);
	sum = checksum_more(checksum_of(buffer_bytes(&head)), data);
	buffer_free(&head);
	return sum;
}

void
fact_close(struct buffer *out, const struct fact_key *key)
{
	pack_u32(out, sum_of(key, buffer_bytes(out)));
}

static bool
read_arrived(const struct fact_key *key, struct unpack *u, struct fact *f, struct rows *rows)
{
	bool        narrow = key->kind == FACT_ARRIVED_NARROW;
	struct rows own = { 0 };
	uint32_t    before;
	bool        right;

	if (rows == NULL)
		rows = &own;
	before = rows->count;
	f->from = unpack_number(u);
	right = rows_unpack(u, narrow ? ROWS_NARROW : ROWS_WIDE, rows);
	for (uint32_t i = before; narrow && i < rows->count; i++)
		rows->saved[i] = key->time > 0 && key->time < UINT32_MAX ? (uint32_t)key->time : 0;
	rows_free(&own);
	return right;
}

static bool
read_flags(const struct fact_key *key, struct unpack *u, struct arena *arena, struct fact *f)
{
	f->how = (enum flags_how)unpack_u8(u);
	f->flags = unpack_number(u);
	if (key->kind == FACT_FLAGS_NARROW)
		f->keywords.word[0] = f->flags >> KEYWORD_FIRST;
	else if (!keyset_unpack(u, &f->keywords))
		return false;
	f->flags &= SYSTEM_FLAGS;
	return unpack_uids(u, arena, &f->uids) && f->how <= FLAGS_SET;
}

static bool
read_list(struct unpack *u)
{
	(void)unpack_number(u);
	(void)unpack_number(u);
	(void)unpack_number(u);
	(void)unpack_bytes(u);
	(void)unpack_bytes(u);
	return !u->broken;
}

static bool
read_kind(const struct fact_key *key, struct unpack *u, struct arena *arena, struct fact *f,
          struct rows *rows)
{
	switch (key->kind) {
	case FACT_ARRIVED_NARROW:
	case FACT_ARRIVED: return read_arrived(key, u, f, rows);
	case FACT_FLAGS_NARROW:
	case FACT_FLAGS: return read_flags(key, u, arena, f);
	case FACT_EXPUNGED: return unpack_uids(u, arena, &f->uids);
	case FACT_KEYWORD:
		f->bit = unpack_u8(u);
		f->name = unpack_bytes(u);
		return f->bit >= KEYWORD_FIRST && f->bit < KEYWORD_FIRST + KEYWORDS_MOST;
	case FACT_MADE:
	case FACT_DELETED:
	case FACT_RENAMED:
	case FACT_SUBSCRIBED: return read_list(u);
	}
	return false;
}

bool
fact_read(const struct fact_key *key, struct bytes data, struct arena *arena, struct fact *out,
          struct rows *rows)
{
	uint32_t      before = rows != NULL ? rows->count : 0;
	struct unpack tail, body;

	*out = (struct fact){ 0 };
	if (data.len < 4)
		return false;
	tail = unpack_of(bytes_cut(data, data.len - 4, 4));
	data.len -= 4;
	if (unpack_u32(&tail) != sum_of(key, data))
		return false;
	body = unpack_of(data);
	if (read_kind(key, &body, arena, out, rows) && unpack_done(&body))
		return true;
	if (rows != NULL)
		rows->count = before;
	return false;
}
