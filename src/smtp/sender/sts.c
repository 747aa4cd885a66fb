#include "smtp/sender/sts.h"
#include "dns/hostname.h"
#include <string.h>

static struct bytes
trim(struct bytes text)
{
	while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
		text = bytes_cut(text, 1, SIZE_MAX);
	while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
		text.len--;
	return text;
}

static bool
is_alphanumeric(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!((text.at[i] >= '0' && text.at[i] <= '9') ||
		      (text.at[i] >= 'a' && text.at[i] <= 'z') ||
		      (text.at[i] >= 'A' && text.at[i] <= 'Z')))
			return false;
	return text.len > 0;
}

/* ---- the record ---- */

/* "v=STSv1; id=20160831085700Z;" */
static bool
read_record(struct bytes text, char id[static STS_ID_MOST + 1])
{
	struct bytes field;
	bool         first = true, found = false;

	while (bytes_split(&text, ';', &field)) {
		struct bytes f = trim(field);

		if (first && !bytes_equal(f, BYTES("v=STSv1")))
			return false;
		if (!first && !found && bytes_starts(f, BYTES("id="))) {
			f = bytes_cut(f, 3, SIZE_MAX);
			if (!is_alphanumeric(f) || !bytes_string(f, id, STS_ID_MOST + 1))
				return false;
			found = true;
		}
		first = false;
	}
	return found;
}

bool
sts_record(const struct answer *x, char id[static STS_ID_MOST + 1])
{
	struct buffer text = { 0 };
	size_t        some = 0;
	bool          good = false;

	for (size_t i = 0; x->status == ANSWER_FOUND && i < x->records; i++) {
		buffer_reset(&text);
		if (!answer_strings(&x->record[i], &text) ||
		    !bytes_starts(buffer_bytes(&text), BYTES("v=STSv1")))
			continue;
		some++;
		good = read_record(buffer_bytes(&text), id);
	}
	buffer_free(&text);
	return some == 1 && good;
}

/* ---- the policy ---- */

struct reading {
	struct arena      *a;
	struct sts_policy *out;
	const char       **mx;
	bool               version, mode, age;
	const char        *why;
};

static bool
take_version(struct reading *r, struct bytes value)
{
	if (!r->version && !bytes_equal(value, BYTES("STSv1")))
		r->why = "its version is not STSv1";
	r->version = true;
	return r->why == NULL;
}

static bool
take_mode(struct reading *r, struct bytes value)
{
	static const char *const names[] = { "none", "testing", "enforce" };

	for (size_t i = 0; i < COUNT(names) && !r->mode; i++)
		if (bytes_equal(value, bytes_of(names[i]))) {
			r->out->mode = (enum sts_mode)i;
			r->mode = true;
		}
	if (!r->mode)
		r->why = "its mode is none of enforce, testing and none";
	return r->mode;
}

static bool
take_age(struct reading *r, struct bytes value)
{
	uint64_t n = 0;

	if (r->age)
		return true;
	if (value.len > 10 || !bytes_number(value, &n)) {
		r->why = "its max_age is no number";
		return false;
	}
	r->age = true;
	r->out->age_s = n > STS_AGE_MOST_S ? STS_AGE_MOST_S : (int64_t)n;
	return true;
}

static bool
take_mx(struct reading *r, struct bytes value)
{
	struct bytes name =
		bytes_starts(value, BYTES("*.")) ? bytes_cut(value, 2, SIZE_MAX) : value;

	if (!hostname_valid(name) || r->out->mxs == STS_MX_MOST) {
		r->why = "an mx of it is no name of a host";
		return false;
	}
	r->mx[r->out->mxs++] = arena_copy(r->a, arena_lower(r->a, value));
	return true;
}

/* A field; those nobody knows are passed over (rfc8461:3.2). */
static bool
take_line(struct reading *r, struct bytes line)
{
	static const struct {
		const char *name;
		bool (*take)(struct reading *, struct bytes value);
	} fields[] = { { "version", take_version },
		       { "mode", take_mode },
		       { "max_age", take_age },
		       { "mx", take_mx } };
	ptrdiff_t colon;

	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	line = trim(line);
	if (line.len == 0)
		return true;
	if ((colon = bytes_find(line, ':')) <= 0) {
		r->why = "a line of it has no colon";
		return false;
	}
	for (size_t i = 0; i < COUNT(fields); i++)
		if (bytes_equal(trim(bytes_cut(line, 0, (size_t)colon)), bytes_of(fields[i].name)))
			return fields[i].take(r,
			                      trim(bytes_cut(line, (size_t)colon + 1, SIZE_MAX)));
	return true;
}

bool
sts_read(struct bytes text, struct arena *a, struct sts_policy *out, const char **why)
{
	struct reading r = { .a = a, .out = out };
	struct bytes   line;

	*out = (struct sts_policy){ .mode = STS_NONE };
	r.mx = arena_take_array(a, STS_MX_MOST, sizeof *r.mx);
	out->mx = r.mx;
	if (text.len > STS_TEXT_MOST || bytes_find(text, '\0') >= 0)
		r.why = "it is no text of a policy";
	while (r.why == NULL && bytes_split(&text, '\n', &line))
		(void)take_line(&r, line);
	if (r.why == NULL && (!r.version || !r.mode || !r.age))
		r.why = "it lacks version, mode or max_age";
	if (r.why == NULL && out->mode != STS_NONE && out->mxs == 0)
		r.why = "it names no mx";
	*why = r.why;
	return r.why == NULL;
}

/* A wildcard stands for one label, the first. */
bool
sts_allows(const struct sts_policy *p, const char *host)
{
	const char *dot = strchr(host, '.');

	for (size_t i = 0; i < p->mxs; i++) {
		struct bytes mx = bytes_of(p->mx[i]);

		if (bytes_starts(mx, BYTES("*."))
		            ? dot != NULL && dot != host &&
		                      bytes_equal_nocase(bytes_cut(mx, 2, SIZE_MAX),
		                                         bytes_of(dot + 1))
		            : bytes_equal_nocase(mx, bytes_of(host)))
			return true;
	}
	return false;
}
