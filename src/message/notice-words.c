#include "message/notice-words.h"

#include <string.h>

enum language { ENGLISH, CHINESE, LANGUAGES };

/* clang-format off */
/* What is not sent rather than in the clear. */
#define SECURE_EN "No connection that is secure enough was to be had, and the message is not sent without one."
#define SECURE_ZH "无法建立足够安全的连接，因此没有发送这封邮件。"

static const struct notice_words words[LANGUAGES] = {
	[ENGLISH] = {
		.name = "en",
		.from = "Mail Delivery System",
		.subject = {
			[NOTICE_FAILED] = "Undelivered: your message did not arrive",
			[NOTICE_DELAYED] = "Delayed: your message is still on its way",
			[NOTICE_DELIVERED] = "Delivered: your message has arrived",
			[NOTICE_RELAYED] = "Relayed: your message was handed on",
			[NOTICE_EXPANDED] = "Expanded: your message goes to several people",
			[NOTICE_REPORT] = "Mail Delivery Status Report",
			[NOTICE_DELIVERABLE] = "Mail Delivery Status Report",
		},
		.copy_subject = {
			[NOTICE_FAILED] = "Postmaster copy: undelivered",
			[NOTICE_DELAYED] = "Postmaster copy: delayed",
			[NOTICE_DELIVERED] = "Postmaster copy: delivered",
			[NOTICE_RELAYED] = "Postmaster copy: relayed",
			[NOTICE_EXPANDED] = "Postmaster copy: expanded",
		},
		.text = {
			[NOTICE_FAILED] = "Your message did not reach the people named below, and it is not tried\r\n"
			                  "again. Whoever is not named here is not concerned.\r\n",
			[NOTICE_DELAYED] = "Your message has not reached the people named below yet. You need not send\r\n"
			                   "it again: it is tried again, and you hear of it if that fails for good.\r\n",
			[NOTICE_DELIVERED] = "Your message lies in the mailbox of the people named below.\r\n",
			[NOTICE_RELAYED] = "Your message was handed on to a host that does not tell about deliveries.\r\n"
			                   "You hear of it again only if it fails there.\r\n",
			[NOTICE_EXPANDED] = "The address below stands for several others, and your message is on its way\r\n"
			                    "to each of them. You hear of it again only if it does not arrive somewhere.\r\n",
			[NOTICE_REPORT] = "You asked what would become of your message. This is what it came to when it\r\n"
			                  "was tried for the first time.\r\n",
			[NOTICE_DELIVERABLE] = "You asked whether mail would be taken for the addresses below. Nothing was sent.\r\n",
		},
		.copy = "This was told to",
		.letter = "Subject:", .sent = "Sent:   ",
		.until = "It is tried until", .over = "It was tried until its time was over.",
		.stop = ".",
		.help = "For help, send this notice to",
		.number = "The message has the number",
	},
	[CHINESE] = {
		.name = "zh",
		.from = "邮件投递系统",
		.subject = {
			[NOTICE_FAILED] = "退信：您的邮件未能送达",
			[NOTICE_DELAYED] = "延迟：您的邮件仍在投递中",
			[NOTICE_DELIVERED] = "送达：您的邮件已经送达",
			[NOTICE_RELAYED] = "转交：您的邮件已转交其他主机",
			[NOTICE_EXPANDED] = "展开：您的邮件正发往多位收件人",
			[NOTICE_REPORT] = "邮件投递状态报告",
			[NOTICE_DELIVERABLE] = "邮件投递状态报告",
		},
		.copy_subject = {
			[NOTICE_FAILED] = "管理员副本：未能送达",
			[NOTICE_DELAYED] = "管理员副本：延迟",
			[NOTICE_DELIVERED] = "管理员副本：已送达",
			[NOTICE_RELAYED] = "管理员副本：已转交",
			[NOTICE_EXPANDED] = "管理员副本：已展开",
		},
		.text = {
			[NOTICE_FAILED] = "您的邮件未能送达下列收件人，系统不会再次尝试。\r\n没有列出的收件人不受影响。\r\n",
			[NOTICE_DELAYED] = "您的邮件暂时还没有送达下列收件人。您不需要重新发送：\r\n系统会继续尝试，如果最终失败会再通知您。\r\n",
			[NOTICE_DELIVERED] = "您的邮件已放入下列收件人的邮箱。\r\n",
			[NOTICE_RELAYED] = "您的邮件已转交给另一台主机，该主机不提供送达通知。\r\n除非在那里投递失败，您不会再收到通知。\r\n",
			[NOTICE_EXPANDED] = "下面的地址代表多位收件人，您的邮件正在发往每一位。\r\n除非其中有人未能收到，您不会再收到通知。\r\n",
			[NOTICE_REPORT] = "您要求报告这封邮件的投递情况。以下是首次投递的结果。\r\n",
			[NOTICE_DELIVERABLE] = "您询问能否向下列地址投递邮件。系统没有发送任何邮件。\r\n",
		},
		.copy = "此通知已发给",
		.letter = "主题：", .sent = "发送时间：",
		.until = "系统将尝试到", .over = "系统一直尝试到期限结束。",
		.stop = "。",
		.help = "如需帮助，请把本通知发给",
		.number = "邮件编号：",
	},
};

enum whose { ANY, OURS };

/* What a detail of rfc3463 means; the first that the status begins with, behind its class.  OURS: no other host has said it. */
static const struct {
	const char *detail;
	enum whose  whose;
	const char *means[LANGUAGES];
} explanations[] = {
	{ "1.10", ANY, { "That domain takes no mail at all. Look for a mistake in the address.",
	            "该域名不接收任何邮件。请检查地址是否有误。" } },
	{ "1.1", ANY, { "There is no such mailbox. Look for a mistake in the address, or ask the person for the right one.",
	           "该邮箱不存在。请检查地址是否有误，或向对方询问正确的地址。" } },
	{ "1.2", ANY, { "There is no such domain, or it has no mail server. Look for a mistake behind the @.",
	           "该域名不存在，或者没有邮件服务器。请检查 @ 后面是否有误。" } },
	{ "1.3", ANY, { "This is not an address that mail can be sent to.", "这不是可以发送邮件的地址。" } },
	{ "1.6", ANY, { "The person has moved; perhaps the new address stands beside this.",
	           "对方已经更换地址；新地址可能写在旁边。" } },
	{ "1.7", ANY, { "Your own address is not accepted as it is written.", "您自己的地址写法不被接受。" } },
	{ "1.8", ANY, { "The domain of your own address is not known there.", "对方不认识您的地址所在的域名。" } },
	{ "2.1", ANY, { "The mailbox is closed for now.", "该邮箱目前已停用。" } },
	{ "2.2", ANY, { "The mailbox is full. Try again later, or reach the person in another way.",
	           "该邮箱已满。请稍后再试，或用其他方式联系对方。" } },
	{ "2.3", ANY, { "The message is too large for this mailbox. Send less, or in parts.",
	           "邮件超过该邮箱允许的大小。请减小附件或分开发送。" } },
	{ "2.4", ANY, { "The list of recipients behind this address is not in order.", "该地址的收件人列表有问题。" } },
	{ "3.1", ANY, { "The other host has no room left.", "对方主机没有剩余空间。" } },
	{ "3.3", ANY, { "The other host cannot do what the message asks for.", "对方主机不支持这封邮件要求的功能。" } },
	{ "3.4", ANY, { "The message is too large for the other host. Send less, or in parts.",
	           "邮件超过对方主机允许的大小。请减小附件或分开发送。" } },
	{ "3.5", OURS, { "A setting of the server that was to pass the message on is not right; its administrator needs to know.",
	           "负责投递的服务器设置有误，需要由其管理员处理。" } },
	{ "4.1", ANY, { "The other host does not answer.", "对方主机没有应答。" } },
	{ "4.2", ANY, { "The connection to the other host broke.", "与对方主机的连接中断。" } },
	{ "4.3", ANY, { "The names of the other host cannot be looked up now.", "暂时无法查询对方主机的域名。" } },
	{ "4.4", ANY, { "The way to the other host cannot be found.", "找不到通往对方主机的路径。" } },
	{ "4.6", ANY, { "The message went in a circle: somewhere it is forwarded back.", "邮件在循环转发。" } },
	{ "4.7", ANY, { "The time for the delivery is over.", "投递的期限已到。" } },
	{ "5.3", ANY, { "These are too many recipients at once.", "一次发送的收件人太多。" } },
	{ "6.3", ANY, { "The other host cannot take letters of this kind.", "对方主机不能接收这种格式的邮件。" } },
	{ "6.7", ANY, { "The message has letters, in an address or in its header, that the other host does not know.",
	           "邮件地址或主题等字段中含有对方主机不支持的文字。" } },
	{ "7.1", ANY, { "The other side does not want this message. Its reason may stand below.",
	           "对方拒收了这封邮件。原因可能写在下面。" } },
	{ "7.10", ANY, { "No connection that is secure enough was to be had.", "无法建立足够安全的连接。" } },
	{ "7.4", OURS, { SECURE_EN, SECURE_ZH } },
	{ "7.5", OURS, { SECURE_EN, SECURE_ZH } },
	{ "7.30", OURS, { SECURE_EN, SECURE_ZH } },
	{ "7", OURS, { "The message did not go on, for reasons of security or because an administrator wants it so.",
	         "出于安全原因或按管理员的要求，邮件没有继续投递。" } },
	{ "7", ANY, { "The other side did not take the message for reasons of security.", "对方出于安全原因没有接收邮件。" } },
	{ "6", ANY, { "The other host does not like the form of the message.", "对方主机不接受邮件的格式。" } },
	{ "5", ANY, { "The other host did not understand.", "与对方主机的通信出错。" } },
	{ "4", ANY, { "The other host could not be reached as it should.", "无法正常连接对方主机。" } },
	{ "3", OURS, { "The message could not be passed on. The reason stands above.", "邮件无法继续投递。原因见上文。" } },
	{ "3", ANY, { "The other host cannot take the message.", "对方主机无法接收这封邮件。" } },
	{ "2", ANY, { "The mailbox cannot take the message.", "该邮箱无法接收这封邮件。" } },
	{ "1", ANY, { "The address is not accepted.", "该地址不被接受。" } },
	{ "", ANY, { "The reason is this:", "原因如下：" } },
};
/* clang-format on */

const struct notice_words *
notice_words(struct bytes tag)
{
	for (size_t i = 0; i < LANGUAGES; i++) {
		size_t n = strlen(words[i].name);

		if (bytes_starts_nocase(tag, bytes_of(words[i].name)) &&
		    (tag.len == n || tag.at[n] == '-' || tag.at[n] == '_'))
			return &words[i];
	}
	return NULL;
}

const char *
notice_language(size_t number)
{
	return number < LANGUAGES ? words[number].name : NULL;
}

const char *
notice_explain(const struct notice_words *w, struct bytes status, bool told)
{
	struct bytes detail = bytes_cut(status, 2, SIZE_MAX);
	size_t       i = 0;

	for (; i + 1 < COUNT(explanations); i++) {
		size_t n = strlen(explanations[i].detail);

		if ((explanations[i].whose == ANY || !told) &&
		    bytes_starts(detail, bytes_of(explanations[i].detail)) &&
		    (detail.len == n || detail.at[n] == '.'))
			break;
	}
	return explanations[i].means[w - words];
}
