/*
 * What access tables answer and what clients say, before restriction lists: the first line is the table's answer to everything, the
 * others are a list of rules, the sender, the name in HELO and the client's address.  However they are, a verdict comes, its
 * reply is one line with a code, and judged again it is the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/journal.h"
#include "policy/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static enum rule_answer
ask(void *ctx, enum rule_question_kind kind, const char *name, struct bytes key, struct arena *life, struct bytes *value)
{
	(void)name;
	(void)key;
	(void)life;
	*value = *(struct bytes *)ctx;
	return kind == ASK_TABLE ? RULE_ANSWER_FOUND : RULE_ANSWER_NONE;
}

static bool is_pattern(void *c, const char *table) { (void)c; (void)table; return false; }
static const char *table_fault(void *c, const char *table, struct arena *a) { (void)c; (void)table; (void)a; return NULL; }

static bool
class_of(void *c, const char *name, struct setting_list *out)
{
	static const char *const words[] = { "warn_if_reject", "mine", "reject_non_fqdn_sender", "sleep", "1" };

	(void)c;
	(void)name;
	*out = (struct setting_list){ words, COUNT(words) };
	return true;
}

/* The list's words by blanks; the defaults of the rest. */
static struct rules *
compile(struct bytes list, struct arena *a)
{
	static const char *const classes[] = { "mine" };
	struct buffer            text = { 0 }, errors = { 0 }, warnings = { 0 };
	struct settings         *s = settings_read(bytes_of(""), "main.cf", &errors, &warnings);
	struct rule_world        world = { .is_pattern = is_pattern, .table_fault = table_fault, .class_of = class_of, .delimiters = "+-", .bare_parents = list.len % 2 == 0 };
	struct policy_settings   set = { 0 };
	struct rules            *rules = NULL;
	struct bytes             word;
	const char             **item = arena_take_array(a, list.len + 1, sizeof *item);
	size_t                   n = 0;

	while (bytes_split(&list, ' ', &word))
		if (word.len > 0)
			item[n++] = arena_copy(a, word);
	if (settings_fill(s, &policy_setting_table, NULL, &set, &errors) && settings_fill(s, &witness_setting_table, NULL, &set.witness, &errors)) {
		set.list[RULE_SENDER] = (struct setting_list){ item, n };
		set.classes = (struct setting_list){ classes, 1 };
		rules = rules_compile(&set, &world, &errors, &warnings);
		if (rules == NULL && errors.len == 0)
			abort();
	}
	settings_close(&s);
	buffer_free(&text);
	buffer_free(&errors);
	buffer_free(&warnings);
	return rules;
}

static void
check(const struct rule_verdict *v)
{
	if (v->outcome != RULE_REFUSES)
		return;
	if (v->reply.len < 10 || v->reply.len > 500 || (v->reply.at[0] != '4' && v->reply.at[0] != '5') || v->reply.at[4] != v->reply.at[0])
		abort();
	for (size_t i = 0; i < v->reply.len; i++)
		if ((unsigned char)v->reply.at[i] < ' ' || (unsigned char)v->reply.at[i] >= 127)
			abort();
}

static void
check_deeds(const struct rule_verdict *v)
{
	for (const struct rule_action *a = v->action; a != NULL; a = a->next)
		for (size_t i = 0; a->deed != DEED_HOLD && i < a->text.len; i++)
			if (a->text.at[i] == '\r' || a->text.at[i] == '\n' || a->text.at[i] == '\0')
				if (a->deed == DEED_PREPEND || a->deed == DEED_BCC || a->deed == DEED_REDIRECT)
					abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	static const struct rule_needs needs = { ask };
	struct bytes      rest = { (const char *)at, len }, line[5] = { { NULL, 0 } };
	struct arena     *a = arena_open(NULL);
	struct rules     *rules;

	if (len > 1 << 16)
		len = 0;
	for (size_t i = 0; i < COUNT(line); i++)
		(void)bytes_split(&rest, '\n', &line[i]);
	rules = compile(line[1], a);
	for (uint8_t moment = 0; rules != NULL && moment < RULE_MOMENTS; moment++) {
		struct rule_facts f = { .moment = moment, .helo_said = true, .has_sender = true, .sender = line[2], .sender_whole = line[2], .helo = line[3],
			.address = line[4], .name = line[3], .reverse = line[3], .has_recipient = true, .recipient = line[2], .recipient_whole = line[2],
			.recipient_is = (uint8_t)(len % RECIPIENT_CLASSES), .recipient_why = line[0], .deferred = line[3], .etrn = line[3], .user = line[4] };
		struct rule_verdict one = rules_judge(rules, &f, &needs, &line[0], a, NULL), two = rules_judge(rules, &f, &needs, &line[0], a, NULL);

		check(&one);
		check_deeds(&one);
		if (one.outcome != two.outcome || !bytes_equal(one.reply, two.reply))
			abort();
	}
	rules_drop(&rules);
	arena_close(&a);
	return 0;
}
