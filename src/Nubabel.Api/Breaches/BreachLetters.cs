using System.Security.Cryptography;
using System.Text;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;
using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Breaches;

/// <summary>A letter about a breach is to go. The message's id is the letter's; who it is for and what it says is looked up when it goes.</summary>
public sealed record BreachMail(Guid Breach, BreachAudience Audience, int Number, Guid User);

/// <summary>A letter was given up.</summary>
public sealed record BreachMailLost(Guid Letter);

/// <summary>
/// The letters to those whom a breach affects. A letter is ordered by one commit of its event and its message, under an id that follows from the breach, the wording and the
/// person: so once, whoever orders it again. That it was sent, or why it was not, is an event, too.
/// </summary>
public sealed class BreachLetters(Node node, Post post)
{
    /// <summary>While nobody has said where the mail server is.</summary>
    private static readonly TimeSpan Unconfigured = TimeSpan.FromMinutes(10);

    /// <summary>Orders a letter; one that was ordered before is left alone.</summary>
    public async Task Order(string tenant, Origin origin, Id<Breach> breach, BreachAudience audience, int number, Id<User> user, CancellationToken ct)
    {
        var id = IdOf(breach, audience, number, user);
        // One for each: what is enqueued for a letter that is there already is thrown away with it.
        var journal = node.Journal(tenant, origin);
        journal.Enqueue(new Message(new BreachMail(breach.Value, audience, number, user.Value)) { Id = id.Value });
        await journal.WriteDown<BreachLetter>(id, new OrderBreachLetter(breach, audience, number, user), ct);
    }

    /// <summary>Handles the message of a letter.</summary>
    public async Task Deliver(BreachMail mail, MessageContext context)
    {
        var (ct, journal, id) = (context.Cancellation, context.Journal, new Id<BreachLetter>(context.Delivery.Id));
        if ((await journal.Load(id, ct)).State.State == BreachLetterState.Sent) return;
        if (!post.IsConfigured) throw new TryAgain("Mail__Host is not set.", Unconfigured);
        await journal.Handle<BreachLetter>(id, await Send(mail, id, journal, ct) is { } fault ? new FailBreachLetter(fault) : new SendBreachLetter(), ct);
    }

    /// <summary>What is enqueued with the dead letter of a letter.</summary>
    public static Message GivenUp(Delivery given, string cause) => new(new BreachMailLost(given.Id));

    /// <summary>It is counted among those who could not be reached.</summary>
    public Task GiveUp(BreachMailLost lost, MessageContext context) =>
        context.Journal.Handle(new Id<BreachLetter>(lost.Letter), new FailBreachLetter(LetterFault.GivenUp), context.Cancellation);

    private async Task<LetterFault?> Send(BreachMail mail, Id<BreachLetter> id, Journal journal, CancellationToken ct)
    {
        var user = (await journal.Load(new Id<User>(mail.User), ct)).State;
        if (user.Email is null) return LetterFault.Unknown;
        // Who has left is told all the same: the data were there.
        if (await node.Open(journal.Tenant, user.Email, ct) is not { } address) return LetterFault.Erased;
        var organization = (await journal.Load(Id<Organization>.Parse(journal.Tenant), ct)).State;
        var breach = (await node.Journal(Node.Platform, new Origin("system:breaches")).Load(new Id<Breach>(mail.Breach), ct)).State;
        var text = breach.Wordings.First(w => w.Audience == mail.Audience && w.Number == mail.Number).Text;
        try
        {
            await post.Carry(Letter(address, organization.Name?.Value ?? "", mail.Audience, text), id.Value, ct);
            return null;
        }
        catch (Hopeless)
        {
            return LetterFault.BadAddress;
        }
    }

    private static Letter Letter(string address, string organization, BreachAudience audience, NoticeText text) => new(
        address, text.Subject.Value,
        [
            audience == BreachAudience.People
                ? $"This concerns your account at {organization}. We have to tell you of a breach of personal data."
                : $"You are an owner of {organization}. We have to tell you of a breach of personal data that affects it.",
            .. Paragraphs("What happened", text.WhatHappened), .. Paragraphs("What may follow from it", text.Consequences), .. Paragraphs("What we have done", text.Measures),
            .. text.Advice is { } advice ? Paragraphs("What you can do", advice) : [],
            $"Where you can learn more: {text.Contact}",
        ]);

    private static IEnumerable<string> Paragraphs(string title, Prose text) => $"{title}: {text}".Split('\n').Where(line => line.Trim().Length > 0);

    private static Id<BreachLetter> IdOf(Id<Breach> breach, BreachAudience audience, int number, Id<User> user)
    {
        var bytes = SHA256.HashData(Encoding.UTF8.GetBytes($"breach letter\n{breach}\n{audience}\n{number}\n{user}")).AsSpan(0, 16);
        // RFC 9562 §5.8: an id of our own making.
        (bytes[6], bytes[8]) = ((byte)(0x80 | (bytes[6] & 0x0F)), (byte)(0x80 | (bytes[8] & 0x3F)));
        return new Id<BreachLetter>(new Guid(bytes, bigEndian: true));
    }
}
