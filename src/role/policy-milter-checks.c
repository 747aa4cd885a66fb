#include "role/policy-milter-checks.h"

#include <time.h>

#include "base/journal.h"
#include "directory/table.h"
#include "policy/checks-elsewhere.h"

enum { CHECKS_MS = 2000 };

struct looking {
	const struct milter_looking *of;
	struct elsewhere            *elsewhere;
	struct timespec              began;
};

static bool
took_too_long(const struct looking *w)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (now.tv_sec - w->began.tv_sec) * 1000 + (now.tv_nsec - w->began.tv_nsec) / 1000000 >
	       CHECKS_MS;
}

static enum check_answer
find(void *ctx, const char *name, struct bytes key, struct arena *life, struct bytes *value)
{
	const struct looking *w = ctx;
	struct table         *t = w->of->tables == NULL ? NULL : tables_local(w->of->tables, name);
	enum table_outcome    found;

	if (t == NULL && table_is_remote(name, w->of->default_type))
		return elsewhere_find(w->elsewhere, name, key, value);
	if (t == NULL || took_too_long(w)) {
		warn_("%s: %s", name,
		      t == NULL ? "no such table" : "milter_header_checks took too long");
		return CHECK_LATER;
	}
	found = table_find(t, key, life, value);
	if (found == TABLE_LATER)
		warn_("%s: %.*s", name, (int)value->len, value->at);
	return found == TABLE_FOUND  ? CHECK_SAYS
	       : found == TABLE_NONE ? CHECK_NOTHING
	                             : CHECK_LATER;
}

/* The piece of `all` from *at on, `len` bytes long, as the edits of it have it. */
static struct bytes
edited(const struct edits *edits, struct bytes all, uint64_t *at, uint64_t len, uint32_t *next,
       struct arena *life)
{
	struct buffer out = { 0 };
	uint64_t      from = *at, end = *at + len;
	struct bytes  kept;

	while (*next < edits->count && edits->edit[*next].at < end) {
		const struct edit *e = &edits->edit[(*next)++];

		buffer_add(&out, bytes_cut(all, (size_t)from, (size_t)(e->at - from)));
		buffer_add(&out, e->instead);
		from = e->at + e->len;
	}
	buffer_add(&out, bytes_cut(all, (size_t)from, end > from ? (size_t)(end - from) : 0));
	*at = end;
	kept = arena_keep(life, buffer_bytes(&out));
	buffer_free(&out);
	return kept;
}

struct bytes
milter_checks(struct milter_looking *of, struct arena *life, struct edits *edits,
              struct bytes *front)
{
	struct checks_settings set = {
		.list = { [CHECK_HEADER] = *of->names, [CHECK_MIME] = *of->names }, .no_mime = true
	};
	struct looking            looking = { .of = of };
	const struct checks_needs needs = { find, &looking };
	struct checks_said        said;
	struct edits              changed = edits_in(life);
	struct buffer             all = { 0 }, packed = { 0 };
	struct bytes              fields, out;
	uint64_t                  at = 0;
	uint32_t                  next = 0;

	buffer_add(&all, *front);
	for (uint32_t i = 0; i < edits->count; i++)
		if (edits->edit[i].file_len == 0)
			buffer_add(&all, edits->edit[i].instead);
	fields = arena_keep(life, buffer_bytes(&all));
	buffer_free(&all);
	if (fields.len == 0 || (looking.elsewhere = elsewhere_open(of->known)) == NULL)
		return BYTES("");
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &looking.began);
	checks_run(&set, &needs, BYTES(""), fields, life, &said);
	if (said.waits)
		elsewhere_wanted(looking.elsewhere, &of->wanted);
	elsewhere_close(&looking.elsewhere);
	if (said.waits)
		return BYTES("");
	*front = edited(&said.edits, fields, &at, front->len, &next, life);
	for (uint32_t i = 0; i < edits->count; i++) {
		struct edit e = edits->edit[i];

		if (e.file_len == 0)
			e.instead = edited(&said.edits, fields, &at, e.instead.len, &next, life);
		if (e.len + e.instead.len + e.file_len > 0 && !edits_add(&changed, &e)) {
			said.verdict = CHECKS_LATER;
			said.reply =
				BYTES("451 4.3.0 Error: too much is to be changed in the letter");
		}
	}
	*edits = changed;
	said.edits = edits_in(life);
	checks_pack(&said, &packed);
	out = arena_keep(life, buffer_bytes(&packed));
	buffer_free(&packed);
	return out;
}
