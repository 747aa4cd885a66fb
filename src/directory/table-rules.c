/* rules with patterns, as regexp, pcre and cidr have them */
#include "directory/table_inner.h"

#include <string.h>

#include "base/journal.h"

enum { IF_DEPTH_MOST = 64, RULES_MOST = 1 << 20 };

static struct bytes
skip_blank(struct bytes b)
{
	size_t n = 0;

	while (n < b.len && table_is_blank(b.at[n]))
		n++;
	return bytes_cut(b, n, b.len);
}

/* Where each if ends, while the rules are read. */
struct rule_reading {
	struct table_rules        *rules;
	const struct table_source *source;
	struct table_faults        faults;
	struct arena              *scratch;
	int                        line;
	size_t                     open[IF_DEPTH_MOST];
	int                        depth;
	bool                       named; /* the rules stand in the name */
};

static struct table_rule *
rule_add(struct table_rules *r)
{
	if (r->count == r->room) {
		r->room = r->room == 0 ? 16 : r->room * 2;
		r->rule = memory_resize(r->rule, r->room * sizeof *r->rule);
	}
	r->rule[r->count] = (struct table_rule){ .what = TABLE_RULE };
	return &r->rule[r->count++];
}

/* pattern = *( "!" blanks ) ... */
static const char *
take_pattern(struct rule_reading *r, struct bytes *line, struct table_rule *rule)
{
	for (; line->len > 0 && line->at[0] == '!';
	     *line = skip_blank(bytes_cut(*line, 1, line->len)))
		rule->negated = !rule->negated;
	return r->rules->kind->take(line, r->scratch, &rule->pattern);
}

static const char *
end_if(struct rule_reading *r, struct bytes line)
{
	struct table_rule *end;

	if (r->depth == 0)
		return "there is no if to this endif; remove it";
	end = rule_add(r->rules);
	end->what = TABLE_RULE_ENDIF;
	r->rules->rule[r->open[--r->depth]].end = r->rules->count - 1;
	return skip_blank(line).len == 0 ? NULL
	                                 : "something stands behind endif; let it stand alone";
}

static const char *
begin_if(struct rule_reading *r, struct bytes line)
{
	struct table_rule rule = { .what = TABLE_RULE_IF, .line = r->line };
	const char       *why;

	if (r->depth == IF_DEPTH_MOST)
		return "too many ifs stand in ifs; write it flatter";
	why = take_pattern(r, &line, &rule);
	if (why == NULL) {
		r->open[r->depth++] = r->rules->count;
		*rule_add(r->rules) = rule;
		if (skip_blank(line).len > 0)
			return "something stands behind the pattern of an if; let it stand alone";
	}
	return why;
}

static const char *
read_rule(struct rule_reading *r, struct bytes line)
{
	struct table_rule  rule = { .line = r->line };
	struct table_rule *kept;
	const char        *why = take_pattern(r, &line, &rule);

	if (why != NULL)
		return why;
	kept = rule_add(r->rules);
	*kept = rule;
	line = bytes_trim(line);
	kept->result = arena_keep(r->rules->life, line);
	if (line.len == 0)
		why = "there is no result; write it behind the pattern";
	else if (line.len > TABLE_VALUE_MOST)
		why = "the result is too long";
	else if (r->rules->kind->result != NULL)
		why = r->rules->kind->result(kept, r->scratch);
	/* Where wrong lines are left out, the empty result of an expression is one, as Postfix has it; of a network it is none. */
	if (why != NULL && (line.len > 0 || r->rules->kind->result == NULL)) {
		r->rules->kind->drop(kept->pattern);
		r->rules->count--;
	}
	if (why != NULL)
		return why;
	if (r->source->entry != NULL)
		r->source->entry(r->source->entry_ctx, r->rules->file, r->named ? 0 : r->line,
		                 line);
	return NULL;
}

/* Whether the line begins with a word, which stands alone or before a blank or "!". */
static bool
takes_word(struct bytes *line, const char *word)
{
	size_t n = strlen(word);

	if (!bytes_starts_nocase(*line, bytes_of(word)) ||
	    (line->len > n && !table_is_blank(line->at[n]) && line->at[n] != '!' &&
	     line->at[n] != '/'))
		return false;
	*line = skip_blank(bytes_cut(*line, n, line->len));
	return true;
}

static void
read_line(struct rule_reading *r, struct bytes line)
{
	const char *why;

	r->line = r->line == 0 ? 1 : r->line;
	if (table_is_blank(line.at[0]))
		why = "the first line begins with a blank; let it begin in the first column";
	else if (r->rules->count >= RULES_MOST)
		why = "too many rules";
	else if (takes_word(&line, "endif"))
		why = end_if(r, line);
	else if (takes_word(&line, "if"))
		why = begin_if(r, line);
	else
		why = read_rule(r, line);
	if (why != NULL)
		table_fault(&r->faults, r->line, "%s", why);
	arena_clear(r->scratch);
}

/* {{rule}, {rule}}: each is a line. */
static bool
inline_text(struct bytes name, struct buffer *text, struct buffer *errors)
{
	struct bytes inner, part, line;
	bool         good = table_unbrace(name, &inner);

	while (good && table_part(&inner, &part)) {
		if ((good = table_unbrace(part, &line)))
			buffer_add(text, line);
		buffer_add_char(text, '\n');
	}
	if (!good)
		buffer_printf(errors, "%.*s: write each rule in braces: {{rule}, {rule}}\n",
		              (int)(name.len > 80 ? 80 : name.len), name.at);
	return good;
}

struct table_rules *
table_rules_open(const struct table_rules_kind *kind, struct bytes name,
                 const struct table_source *source, struct buffer *errors)
{
	struct table_rules *rules = memory_take(sizeof *rules);
	struct rule_reading r = { .rules = rules,
		                  .source = source,
		                  .scratch = arena_open(NULL),
		                  .named = name.at[0] == '{' };
	struct table_lines  lines = { .number = 0 };
	struct buffer       text = { 0 };
	struct bytes        line;
	bool                good;

	rules->kind = kind;
	rules->life = arena_open(NULL);
	rules->file = arena_copy(rules->life, bytes_cut(name, 0, 1000));
	r.faults = (struct table_faults){ rules->file, errors, 0 };
	good = r.named ? inline_text(name, &text, errors)
	               : table_read(source, arena_copy(rules->life, name), &text, errors);
	lines.rest = buffer_bytes(&text);
	while (good && table_line(&lines, &line)) {
		r.line = lines.first;
		read_line(&r, line);
	}
	if (good && r.depth > 0)
		table_fault(&r.faults, rules->rule[r.open[r.depth - 1]].line,
		            "there is no endif to this if; write it behind the last of its rules");
	while (r.depth > 0)
		rules->rule[r.open[--r.depth]].end = rules->count - 1;
	table_lines_end(&lines);
	buffer_free(&text);
	arena_close(&r.scratch);
	if (!good || (r.faults.said > 0 && (source->how & TABLE_LEAVES_OUT) == 0)) {
		table_rules_close(rules);
		return NULL;
	}
	return rules;
}

void
table_rules_close(struct table_rules *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->rule[i].pattern != NULL)
			r->kind->drop(r->rule[i].pattern);
	memory_free(r->rule);
	arena_close(&r->life);
	memory_free(r);
}

const struct table_rule *
table_rules_find(struct table_rules *r, struct bytes key, void *how, enum table_outcome *outcome,
                 struct arena *arena, struct bytes *why)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct table_rule *rule = &r->rule[i];
		enum table_fit           fit;
		if (rule->what == TABLE_RULE_ENDIF)
			continue;
		fit = r->kind->fits(rule, key, how);
		if (fit == TABLE_FITS_LATER) {
			*why = bytes_of(arena_printf(arena, "%s:%d: this pattern takes too long",
			                             r->file, rule->line));
			*outcome = TABLE_LATER;
			return NULL;
		}
		if (rule->what == TABLE_RULE && fit == TABLE_FITS) {
			*outcome = TABLE_FOUND;
			return rule;
		}
		if (rule->what == TABLE_RULE_IF && fit != TABLE_FITS)
			i = rule->end;
	}
	*outcome = TABLE_NONE;
	return NULL;
}
