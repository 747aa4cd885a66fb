/*
 * verifier -- alone parses what strangers wrote
 *
 * It reads a letter from the word or from a descriptor, and answers: may it come in,
 * what is put before it, and its digest.  For keepers it also looks whether a letter says
 * something.  For receivers it asks what a client is called, since answers of the world's name
 * servers are strangers' words too.  It can open no file, and a letter that takes too long takes the process with
 * it: the postmaster starts another, and who asked asks once more.
 */

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "dns/peername.h"
#include "message/digest.h"
#include "message/encoding.h"
#include "message/header.h"
#include "message/search.h"
#include "policy/checks-elsewhere.h"
#include "role/confine.h"
#include "role/house.h"
#include "role/names.h"
#include "role/refit.h"
#include "role/tables.h"
#include "smtp/sender/settings.h"
#include "store/text.h"

enum {
	LETTER_SECONDS = 10, /* of CPU                              */
	CHECKS_SECONDS = 2,
	SEARCHES_MOST = 1024,
	DECODED_MOST = 8 << 20,
	EDITED_MOST = 12 << 20,
	DECODE_PIECE = 64 << 10,
	TEXTS_MOST = 8 << 20 /* in one answer                       */
};

struct verifier {
	struct house *house;
	struct arena *scratch;
	struct buffer digest, said;
	/* checks */
	struct tables          *tables;
	const struct listeners *listeners;
	struct checks_settings  checks[LISTENERS_MOST]; /* of each listener          */
	struct arena           *lookup;
	struct elsewhere       *elsewhere; /* while a letter is checked */
	struct timespec         began;
	uint64_t                judged, sought, looked;
	/* names */
	struct resolver *resolver; /* NULL: none is asked                  */
	struct search   *search;   /* all that are under way               */
	size_t           searches;
	uint16_t         port; /* that the cage lets us ask            */
};

/* Whose name somebody waits for. */
struct search {
	struct search          *next, **at;
	struct house           *house;
	uint32_t                receiver, ticket;
	struct peername_search *names;
};

/* A letter in a file, mapped; the mapping begins on a page. */
struct mapped {
	void  *at;
	size_t len;
};

static bool
map_letter(int fd, uint64_t at, uint64_t len, struct mapped *m, struct bytes *content)
{
	uint64_t    page = (uint64_t)sysconf(_SC_PAGESIZE), skip = at % page, end;
	struct stat st;

	*m = (struct mapped){ NULL, 0 };
	*content = (struct bytes){ "", 0 };
	if (__builtin_add_overflow(at, len, &end) || fstat(fd, &st) < 0 ||
	    end > (uint64_t)st.st_size)
		return false;
	if (len == 0)
		return true;
	m->len = (size_t)(len + skip);
	m->at = mmap(NULL, m->len, PROT_READ, MAP_PRIVATE, fd, (off_t)(at - skip));
	if (m->at == MAP_FAILED)
		return false;
	*content = (struct bytes){ (const char *)m->at + skip, (size_t)len };
	return true;
}

static void
unmap_letter(struct mapped *m)
{
	if (m->len > 0 && m->at != MAP_FAILED)
		(void)munmap(m->at, m->len);
}

/* Letters that lie near one another in a file are mapped together: a mapping for each costs as much as what is done
   with it. */
enum { NEIGHBOURS_MOST = 16 << 20 };
struct neighbours {
	struct mapped map;
	struct bytes  content; /* from `from` to `end` */
	uint64_t      from, end;
};

static bool
map_alone(int fd, uint64_t from, uint64_t end, struct neighbours *n)
{
	unmap_letter(&n->map);
	n->from = from;
	n->end = end;
	if (map_letter(fd, from, end - from, &n->map, &n->content))
		return true;
	n->end = n->from; /* nothing */
	return false;
}

/* The first of these letters; those behind it will be asked for next. */
static bool
map_first(int fd, const struct letter_extent *letter, uint32_t letters, struct neighbours *n,
          struct bytes *content)
{
	uint64_t from = letter->at, low = from, end, high;

	if (__builtin_add_overflow(from, letter->len, &end))
		return false;
	high = end;
	for (uint32_t i = 1; (from < n->from || end > n->end) && i < letters; i++) {
		uint64_t first = letter[i].at < low ? letter[i].at : low, last;
		if (__builtin_add_overflow(letter[i].at, letter[i].len, &last))
			break;
		if (last < high)
			last = high;
		if (last - first > NEIGHBOURS_MOST)
			break;
		low = first;
		high = last;
	}
	if ((from < n->from || end > n->end) && !map_alone(fd, low, high, n) &&
	    !map_alone(fd, from, end, n))
		return false;
	*content = bytes_cut(n->content, (size_t)(from - n->from), (size_t)letter->len);
	return true;
}

/* From here so much CPU, then SIGPROF ends us. */
static void
be_patient(int seconds)
{
	struct itimerval most = { .it_value = { .tv_sec = seconds } };

	(void)setitimer(ITIMER_PROF, &most, NULL);
}

/*
 * Checks
 */

/* What one letter may cost in patterns: short of what would end this process. */
static bool
took_too_long(const struct verifier *v)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec - v->began.tv_sec > CHECKS_SECONDS;
}

static enum check_answer
find_in_table(void *ctx, const char *name, struct bytes key, struct arena *life,
              struct bytes *value)
{
	struct verifier   *v = ctx;
	struct table      *t = tables_local(v->tables, name);
	enum table_outcome found;
	enum check_answer  is;

	if (t == NULL && table_is_remote(name, tables_default_type(v->house->settings))) {
		is = elsewhere_find(v->elsewhere, name, key, value);
		if (is == CHECK_LATER)
			warn_("%s: %.*s", name, (int)value->len, value->at);
		return is;
	}
	if (t == NULL || took_too_long(v)) {
		warn_("%s: %s", name,
		      t == NULL ? "no such table" : "the checks of a letter took too long");
		return CHECK_LATER;
	}
	arena_clear(v->lookup);
	found = table_find(t, key, v->lookup, value);
	if (found == TABLE_FOUND)
		*value = arena_keep(life, *value);
	else if (found == TABLE_LATER)
		warn_("%s: %.*s", name, (int)value->len, value->at);
	return found == TABLE_FOUND  ? CHECK_SAYS
	       : found == TABLE_NONE ? CHECK_NOTHING
	                             : CHECK_LATER;
}

/* False: what is said to be known is not what it should be; the letter is put off. */
static bool
look_begin(struct verifier *v, struct bytes known)
{
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &v->began);
	v->elsewhere = elsewhere_open(known);
	return v->elsewhere != NULL;
}

static const struct checks_settings *
checks_of(const struct verifier *v, const char *listener)
{
	size_t i = listener_place(v->listeners, bytes_of(listener));

	return i < v->listeners->count && checks_wanted(&v->checks[i]) ? &v->checks[i] : NULL;
}

/* False: with what they say the content is not, or not yet, to be kept as it is. */
static bool
check(struct verifier *v, const struct word_judge *ask, struct bytes content,
      struct word_judged *out)
{
	const struct checks_settings *set = ask->append ? NULL : checks_of(v, ask->listener);
	const struct checks_needs     needs = { find_in_table, v };
	struct checks_said            said;

	if (set == NULL)
		return true;
	if (!look_begin(v, ask->known)) {
		out->verdict = JUDGE_LATER;
		return false;
	}
	checks_run(set, &needs, ask->trace, content, v->scratch, &said);
	buffer_reset(&v->said);
	if (said.waits)
		elsewhere_wanted(v->elsewhere, &v->said);
	else
		checks_pack(&said, &v->said);
	elsewhere_close(&v->elsewhere);
	out->said = buffer_bytes(&v->said);
	if (said.waits) {
		out->verdict = JUDGE_ASKS;
		return false;
	}
	if (said.verdict != CHECKS_PASS) {
		out->verdict = said.verdict == CHECKS_REFUSE && said.reply.at[0] == '5'
		                       ? JUDGE_REFUSE
		                       : JUDGE_LATER;
		out->reply = arena_copy(v->scratch, said.reply);
	}
	return said.verdict == CHECKS_PASS && said.edits.count == 0;
}

static void
checks_fill(struct house *h)
{
	struct verifier *v = h->mine;

	v->listeners = &h->listeners;
	for (size_t i = 0; i < h->listeners.count; i++)
		if (!house_settings(h, &checks_setting_table, h->listeners.one[i].name,
		                    &v->checks[i]))
			v->checks[i] = (struct checks_settings){ 0 };
}

static void
judge(struct verifier *v, const struct word_judge *ask, struct bytes content,
      struct word_judged *out)
{
	*out = (struct word_judged){ .verdict = JUDGE_ACCEPT, .reply = "" };
	if (!check(v, ask, content, out))
		return;
	buffer_reset(&v->digest);
	digest_make(content, v->scratch, &v->digest);
	out->digest = buffer_bytes(&v->digest);
}

static bool
hear_judge(struct house *h, struct link *l, uint32_t ticket, struct bytes body, int fd)
{
	struct verifier   *v = h->mine;
	struct word_judge  ask;
	struct word_judged answer = { .verdict = JUDGE_LATER,
		                      .reply = "4.3.0 the letter cannot be read now" };
	struct mapped      m = { NULL, 0 };
	struct bytes       content;

	if (!word_unpack_judge(body, v->scratch, &ask) || ask.inside != (fd < 0))
		return false;
	content = ask.content;
	if (ask.inside || map_letter(fd, ask.at, ask.len, &m, &content))
		judge(v, &ask, content, &answer);
	unmap_letter(&m);
	v->judged++;
	word_pack_judged(link_begin(l, WORD_JUDGED, ticket), &answer);
	link_end(l);
	return true;
}

/* smtp_header_checks and their kin, as the transport has them. */
static bool
checks_out(struct house *h, const struct word_refit *ask, struct checks_settings *set)
{
	struct sender_settings rows;

	if (!house_settings(h, &checks_setting_table, NULL, set) ||
	    !house_settings(h, &sender_setting_table, ask->transport, &rows))
		return false;
	for (size_t i = 0; i < CHECK_LISTS; i++)
		set->list[i] = ask->lmtp ? rows.lmtp_checks[i] : rows.checks[i];
	set->strict = set->strict_body = set->strict_header = set->strict_encoding = false;
	return true;
}

static void
refit(struct house *h, const struct word_refit *ask, struct bytes content,
      struct word_refitted *out)
{
	struct verifier          *v = h->mine;
	const struct checks_needs needs = { find_in_table, v };
	struct checks_settings    set;
	struct edits              edits = edits_in(v->scratch);
	enum refit_answer         made;

	if (ask->tell) {
		out->answer = REFIT_DONE;
		out->addresses = refit_tell(content, v->scratch, &out->address);
		return;
	}
	if ((ask->checks && !checks_out(h, ask, &set)) || !look_begin(v, ask->known))
		made = REFIT_LATER;
	else
		made = refit_make(ask, content, &set, &needs, v->scratch, &edits);
	out->answer = (uint8_t)made;
	out->is_signed =
		ask->seven && made == REFIT_DONE && edits.count > 0 && refit_signed(content);
	buffer_reset(&v->said);
	if (made == REFIT_ASKS)
		elsewhere_wanted(v->elsewhere, &v->said);
	else
		edits_pack(&edits, &v->said);
	elsewhere_close(&v->elsewhere);
	out->edits = buffer_bytes(&v->said);
	if (v->said.len > EDITED_MOST) {
		out->answer = REFIT_CANNOT;
		out->edits = BYTES("");
	}
}

static bool
hear_refit(struct house *h, struct link *l, uint32_t ticket, struct bytes body, int fd)
{
	struct verifier     *v = h->mine;
	struct word_refit    ask;
	struct word_refitted answer = { .answer = REFIT_LATER };
	struct mapped        m = { NULL, 0 };
	struct bytes         content;

	if (!word_unpack_refit(body, v->scratch, &ask) || fd < 0)
		return false;
	if (map_letter(fd, ask.at, ask.len, &m, &content))
		refit(h, &ask, content, &answer);
	word_pack_refitted(link_begin(l, WORD_REFITTED, ticket), &answer);
	link_end(l);
	unmap_letter(&m);
	return true;
}

static bool
hear_seek(struct house *h, struct link *l, uint32_t ticket, struct bytes body, int fd)
{
	struct verifier  *v = h->mine;
	struct word_seek  ask;
	struct neighbours near = { .from = 0 };
	struct bytes      content;
	struct arena     *scratch;
	struct buffer    *out;

	if (!word_unpack_seek(body, v->scratch, &ask) || fd < 0)
		return false;
	scratch = arena_open(v->scratch);
	out = link_begin(l, WORD_SOUGHT, ticket);
	pack_u32(out, ask.letters);
	for (uint32_t i = 0; i < ask.letters; i++) {
		be_patient(LETTER_SECONDS);
		pack_bool(out, map_first(fd, ask.letter + i, ask.letters - i, &near, &content) &&
		                       letter_says(content, (enum search_where)ask.where, ask.field,
		                                   ask.needle, scratch));
		arena_clear(scratch);
		v->sought++;
	}
	unmap_letter(&near.map);
	link_end(l);
	return true;
}

/* Piece after piece, for a part may be large; behind what is wanted only to count all of it. */
static void
decode_part(const struct word_decode *ask, struct bytes content, struct word_decoded *answer,
            struct buffer *part)
{
	uint64_t      most = ask->most < DECODED_MOST ? ask->most : DECODED_MOST;
	uint64_t      end = ask->from < UINT64_MAX - most ? ask->from + most : UINT64_MAX;
	bool          qp = ask->encoding == ENCODED_QP;
	struct buffer plain = { 0 };

	for (size_t done = 0; done < content.len && (ask->counts || answer->total < end);) {
		struct bytes rest = bytes_cut(content, done, SIZE_MAX);
		size_t   n = qp ? qp_piece(rest, DECODE_PIECE) : base64_piece(rest, DECODE_PIECE);
		uint64_t skip = ask->from > answer->total ? ask->from - answer->total : 0;
		buffer_reset(&plain);
		if (qp)
			qp_decode(bytes_cut(rest, 0, n), &plain);
		else
			base64_decode_mime(bytes_cut(rest, 0, n), &plain);
		if (answer->total <= end) {
			answer->coded = done;
			answer->plain = answer->total;
		}
		buffer_add(part, bytes_cut(buffer_bytes(&plain), skip, most - part->len));
		answer->nul |= bytes_find(buffer_bytes(&plain), '\0') >= 0;
		answer->total += plain.len;
		done += n;
	}
	buffer_free(&plain);
}

/* Of the fields that are asked for, a piece. */
static void
choose_fields(const struct word_decode *ask, struct bytes content, struct word_decoded *answer,
              struct buffer *part)
{
	uint64_t      most = ask->most < DECODED_MOST ? ask->most : DECODED_MOST;
	uint64_t      end = ask->from < UINT64_MAX - most ? ask->from + most : UINT64_MAX;
	struct header h = header_of(content);
	struct field  f;

	while ((ask->counts || answer->total < end) && header_next(&h, &f)) {
		uint64_t skip = ask->from > answer->total ? ask->from - answer->total : 0;
		if (!field_chosen(ask->fields, ask->others, f.name))
			continue;
		if (answer->total <= end) {
			answer->coded = (uint64_t)(f.whole.at - content.at);
			answer->plain = answer->total;
		}
		buffer_add(part, bytes_cut(f.whole, skip, most - part->len));
		answer->total += f.whole.len;
	}
}

/* Of a part's body without its transfer encoding, or of a header's fields, a piece. */
static bool
hear_decode(struct house *h, struct link *l, uint32_t ticket, struct bytes body, int fd)
{
	struct verifier    *v = h->mine;
	struct word_decode  ask;
	struct word_decoded answer = { 0 };
	struct buffer       part = { 0 };
	struct mapped       m;
	struct bytes        content;

	if (!word_unpack_decode(body, v->scratch, &ask) || fd < 0)
		return false;
	answer.good = map_letter(fd, ask.at, ask.len, &m, &content);
	answer.good &=
		ask.fields.len > 0 || ask.encoding == ENCODED_QP || ask.encoding == ENCODED_BASE64;
	if (answer.good && ask.fields.len > 0)
		choose_fields(&ask, content, &answer, &part);
	else if (answer.good)
		decode_part(&ask, content, &answer, &part);
	answer.part = buffer_bytes(&part);
	word_pack_decoded(link_begin(l, WORD_DECODED, ticket), &answer);
	link_end(l);
	unmap_letter(&m);
	buffer_free(&part);
	return true;
}

/*
 * Names
 */

static void
search_end(struct search *s)
{
	struct verifier *v = s->house->mine;

	*s->at = s->next;
	if (s->next != NULL)
		s->next->at = s->at;
	v->searches--;
	memory_free(s);
}

static void
say_looked(struct house *h, uint32_t receiver, uint32_t ticket, const struct word_looked *w)
{
	struct link *l = house_link(h, RECEIVER, receiver);

	if (l == NULL)
		return;
	word_pack_looked(link_begin(l, WORD_LOOKED, ticket), w);
	link_end(l);
}

static void
name_found(void *ctx, const struct peername *p)
{
	struct search     *s = ctx;
	struct verifier   *v = s->house->mine;
	struct word_looked w = { (uint8_t)p->class, p->name, p->reverse };

	v->looked++;
	say_looked(s->house, s->receiver, s->ticket, &w);
	search_end(s);
}

static bool
hear_lookup(struct house *h, uint32_t receiver, uint32_t ticket, struct bytes body)
{
	struct verifier   *v = h->mine;
	struct word_looked later = { .class = PEERNAME_LATER };
	struct word_lookup ask;
	struct search     *s;
	struct bytes       name;
	const char        *hosts;

	if (!word_unpack_lookup(body, v->scratch, &ask))
		return false;
	/* As the C library's own order has it: this machine's file, then the DNS. */
	hosts = house_resource_text(h, "hosts");
	if (hosts != NULL && peername_in(bytes_of(hosts), &ask.peer, &name)) {
		say_looked(h, receiver, ticket,
		           &(struct word_looked){ PEERNAME_CONFIRMED, name, name });
		return true;
	}
	if (v->resolver == NULL || v->searches >= SEARCHES_MOST) {
		say_looked(h, receiver, ticket, &later);
		return true;
	}
	s = memory_take(sizeof *s);
	*s = (struct search){ .next = v->search,
		              .at = &v->search,
		              .house = h,
		              .receiver = receiver,
		              .ticket = ticket };
	if (v->search != NULL)
		v->search->at = &s->next;
	v->search = s;
	v->searches++;
	s->names = peername_ask(v->resolver, &ask.peer, name_found, s);
	return true;
}

/* Nobody waits any more: the receiver has died, or the resolver is another. */
static void
searches_end(struct verifier *v, const uint32_t *receiver)
{
	struct search *next;

	for (struct search *s = v->search; s != NULL; s = next) {
		next = s->next;
		if (receiver != NULL && *receiver != s->receiver)
			continue;
		peername_clear(&s->names);
		if (receiver == NULL)
			say_looked(s->house, s->receiver, s->ticket,
			           &(struct word_looked){ .class = PEERNAME_LATER });
		search_end(s);
	}
}

/* The cage was closed for the resolver there was: another port, or the first resolver at
   all, needs another cage, so another process. */
static void
verifier_reload(struct house *h)
{
	struct verifier *v = h->mine;

	checks_fill(h);
	tables_reload(v->tables);
	searches_end(v, NULL);
	resolver_close(&v->resolver);
	if (confine_asks(VERIFIER, &h->common) != v->port) {
		note("dns_resolver has changed: starting anew");
		house_leave(h);
		return;
	}
	v->resolver = house_resolver(h);
}

static void
verifier_lost(struct house *h, enum role role, uint32_t index)
{
	if (role == RECEIVER)
		searches_end(h->mine, &index);
}

/* All that can be found in these letters, for the index. */
static bool
hear_text(struct house *h, struct link *l, uint32_t ticket, struct bytes body, int fd)
{
	struct verifier   *v = h->mine;
	struct word_text   ask;
	struct word_texted answer;
	struct neighbours  near = { .from = 0 };
	struct arena      *scratch;
	size_t             all = 0;

	if (!word_unpack_text(body, v->scratch, &ask) || fd < 0)
		return false;
	struct letter_texts *letter =
		arena_take_array(v->scratch, ask.letters + (size_t)1, sizeof *letter);
	scratch = arena_open(v->scratch);
	for (uint32_t i = 0; i < ask.letters; i++) {
		struct bytes  content;
		struct buffer header = { 0 }, text = { 0 };

		letter[i].state = TEXT_LATER;
		if (all > TEXTS_MOST)
			continue;
		be_patient(LETTER_SECONDS);
		letter[i].state =
			map_first(fd, ask.letter + i, ask.letters - i, &near, &content) &&
					letter_text(content, TEXT_MOST, scratch, &header, &text)
				? TEXT_WHOLE
				: TEXT_TOO_LONG_FOR_IT;
		if (letter[i].state == TEXT_WHOLE) {
			letter[i].header = arena_keep(v->scratch, buffer_bytes(&header));
			letter[i].body = arena_keep(v->scratch, buffer_bytes(&text));
			all += header.len + text.len;
		}
		buffer_free(&header);
		buffer_free(&text);
		arena_clear(scratch);
	}
	unmap_letter(&near.map);
	answer = (struct word_texted){ letter, ask.letters };
	word_pack_texted(link_begin(l, WORD_TEXTED, ticket), &answer);
	link_end(l);
	return true;
}

static bool
verifier_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
              struct bytes body, int fd)
{
	struct verifier *v = h->mine;
	struct link     *l = house_link(h, from, index);
	bool             good;

	be_patient(LETTER_SECONDS);
	good = word == WORD_JUDGE    ? hear_judge(h, l, ticket, body, fd)
	       : word == WORD_SEEK   ? hear_seek(h, l, ticket, body, fd)
	       : word == WORD_TEXT   ? hear_text(h, l, ticket, body, fd)
	       : word == WORD_DECODE ? hear_decode(h, l, ticket, body, fd)
	       : word == WORD_REFIT  ? hear_refit(h, l, ticket, body, fd)
	       : word == WORD_LOOKUP ? hear_lookup(h, index, ticket, body)
	                             : false;
	be_patient(0);
	arena_clear(v->scratch);
	if (fd >= 0)
		(void)close(fd);
	return good;
}

static bool
verifier_start(struct house *h)
{
	struct verifier *v = memory_take(sizeof *v);

	h->mine = v;
	v->house = h;
	v->scratch = arena_open(NULL);
	v->lookup = arena_open(NULL);
	checks_fill(h);
	v->tables = tables_open(h, NULL, NULL);
	v->port = confine_asks(VERIFIER, &h->common);
	v->resolver = house_resolver(h);
	return true;
}

static void
verifier_tables(struct house *h)
{
	tables_reload(((struct verifier *)h->mine)->tables);
}

static void
verifier_stop(struct house *h)
{
	house_leave(h);
}

static void
verifier_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct verifier *v = h->mine;

	*connections = 0;
	buffer_printf(text, "judged=%" PRIu64 " sought=%" PRIu64 " looked=%" PRIu64, v->judged,
	              v->sought, v->looked);
}

const struct role_card verifier_card = {
	.name = "verifier",
	.start = verifier_start,
	.hear = verifier_hear,
	.lost = verifier_lost,
	.reload = verifier_reload,
	.tables = verifier_tables,
	.stop = verifier_stop,
	.status = verifier_status,
};
