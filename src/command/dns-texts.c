/* dns-texts -- DMARC, MTA-STS and TLSRPT: tag=value; tag=value */

#include <stdio.h>
#include <string.h>

#include "command/dns_inner.h"

/* The value of a tag; NULL at: it is not there. */
static struct bytes
tag_of(struct bytes text, const char *name)
{
	struct bytes rest = text, one;

	while (bytes_split(&rest, ';', &one)) {
		ptrdiff_t equal = bytes_find(one, '=');
		if (equal > 0 && bytes_is(bytes_trim(bytes_cut(one, 0, (size_t)equal)), name))
			return bytes_trim(bytes_cut(one, (size_t)equal + 1, one.len));
	}
	return (struct bytes){ NULL, 0 };
}

static const char *
wrong_dmarc(struct bytes text)
{
	struct bytes p = tag_of(text, "p");

	return bytes_is(p, "none") || bytes_is(p, "quarantine") || bytes_is(p, "reject")
	               ? NULL
	               : "p must be none, quarantine or reject (rfc7489:6.3)";
}

/* rfc8461:3.1 */
static const char *
wrong_sts(struct bytes text)
{
	struct bytes id = tag_of(text, "id");
	bool         good = id.len > 0 && id.len <= 32;

	for (size_t i = 0; i < id.len; i++) {
		char c = ascii_lower(id.at[i]);
		good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
	}
	return good ? NULL : "id must be 1 to 32 letters and digits (rfc8461:3.1)";
}

static const char *
wrong_report(struct bytes text)
{
	struct bytes rua = tag_of(text, "rua");

	return bytes_starts_nocase(rua, BYTES("mailto:")) ||
	                       bytes_starts_nocase(rua, BYTES("https:"))
	               ? NULL
	               : "rua must begin with mailto: or https: (rfc8460:3)";
}

static const struct text_kind {
	const char *version, *type;
	const char *(*wrong)(struct bytes);
} text_kinds[] = {
	{ "v=DMARC1", "DMARC", wrong_dmarc },
	{ "v=STSv1", "MTA-STS", wrong_sts },
	{ "v=TLSRPTv1", "TLSRPT", wrong_report },
};

/* What a text of that kind says, in *text; false for another's. */
static bool
text_of(const struct answer_record *a, const struct text_kind *kind, struct buffer *text)
{
	buffer_reset(text);
	return answer_strings(a, text) &&
	       bytes_starts_nocase(buffer_bytes(text), bytes_of(kind->version));
}

/* One stays, the first that is right; ours comes where none is. */
static void
keep_one(struct judging *j, struct finding *one, const struct answer *a, const struct record *r,
         const struct text_kind *kind)
{
	struct buffer text = { 0 };
	bool          kept = false;

	for (size_t i = 0; i < a->records; i++) {
		if (!text_of(&a->record[i], kind, &text))
			continue;
		if (!kept && kind->wrong(buffer_bytes(&text)) == NULL)
			kept = true;
		else
			finding_erase(j->facts, one, a->name, DNS_TXT, &a->record[i]);
	}
	if (!kept)
		finding_write_record(j->facts, one, r);
	buffer_free(&text);
}

static void
judge_text(struct judging *j, const struct record *r, const struct text_kind *kind)
{
	const struct answer *a = judge_look(j, r->name, DNS_TXT);
	struct buffer        text = { 0 };
	const char          *wrong = NULL;
	unsigned             count = 0;
	struct finding      *one;

	if (judge_unanswered(j, a, r->name, kind->type))
		return;
	for (size_t i = 0; i < a->records; i++)
		if (text_of(&a->record[i], kind, &text) && count++ == 0)
			wrong = kind->wrong(buffer_bytes(&text));
	buffer_free(&text);
	if (count == 0)
		one = judge_say(j, judge_missing(r), r->name, kind->type, "%s", r->why);
	else if (count > 1)
		one = judge_say(j, FOUND_WRONG, r->name, kind->type,
		                "There are %u of them, and with more than one all are void.",
		                count);
	else if (wrong != NULL)
		one = judge_say(j, FOUND_WRONG, r->name, kind->type, "%s.", wrong);
	else
		one = judge_say(j, FOUND_RIGHT, r->name, kind->type, "%s", r->why);
	one->there = judge_there(j, a, DNS_TXT);
	if (one->state != FOUND_RIGHT)
		keep_one(j, one, a, r, kind);
}

void
dns_judge_texts(struct judging *j)
{
	for (size_t i = 0; i < j->all->count; i++) {
		const struct record *r = &j->all->one[i];

		if (r->type == DNS_TXT && bytes_starts(r->data, BYTES("v=spf1")) &&
		    judge_look(j, r->name, DNS_CNAME)->status != ANSWER_FOUND)
			dns_judge_spf(j->facts, r, j->ask, j->out);
		for (size_t k = 0; r->type == DNS_TXT && k < COUNT(text_kinds); k++)
			if (bytes_starts(r->data, bytes_of(text_kinds[k].version)))
				judge_text(j, r, &text_kinds[k]);
	}
}
