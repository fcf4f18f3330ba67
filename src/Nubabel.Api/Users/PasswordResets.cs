using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;
using Nubabel.Api.Host.Tokens;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Users;

/// <summary>A wish for a new password, as it waits: sealed by the nodes' own key, since whose it is nobody has looked up yet.</summary>
public sealed record ResetWish(string Sealed);

/// <summary>
/// Wishes for a new password. Whoever is named, the wish is written down, a message of the platform, and answered: nothing is looked up before that, so the
/// answer tells nothing by its content or its time. Behind it the account is looked for, and if there is one, a link is mailed, once for each wish.
/// </summary>
public sealed partial class PasswordResets(Node node, Settings settings, SignIns signIns, Standings standings, Post post, ILogger<PasswordResets> log)
{
    /// <summary>How many links one account is mailed within <see cref="Within"/>, whoever asks and on however many nodes.</summary>
    public const int Most = 3;
    public static readonly TimeSpan Within = TimeSpan.FromMinutes(15);

    /// <summary>How long a link counts.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromMinutes(30);

    private const int Attempts = 3;

    private const string Use = "password-reset-wish";

    /// <summary>Writes the wish down.</summary>
    /// <param name="origin">Of the request.</param>
    public async Task Keep(string organization, string address, Origin origin, CancellationToken ct)
    {
        var journal = node.Journal(Node.Platform, origin);
        var wish = JsonSerializer.SerializeToUtf8Bytes(new Wish(organization, address, origin.Ip, origin.UserAgent, journal.Now()), StoredJson.Options);
        journal.Enqueue(new Message(new ResetWish(Convert.ToBase64String(node.Root.Wrap(Use, "", wish)))));
        await journal.Send(ct);
    }

    /// <summary>Handles a wish. One that is older than its link would be is nobody's any more.</summary>
    public async Task Handle(ResetWish message, MessageContext context)
    {
        var wish = StoredJson.Read<Wish>(node.Root.Unwrap(Use, "", Convert.FromBase64String(message.Sealed)));
        if (wish.At + Life < context.Journal.Now()) return;
        // The message's id is the cause of what follows, so that a wish that is handled again is seen to be done.
        await Send(wish.Organization, wish.Email, context.Journal.Origin with { Ip = wish.Ip, UserAgent = wish.Agent }, context.Cancellation);
    }

    /// <summary>The wishes that name this account's address, by the keyed hash that the account is found by.</summary>
    public async Task<IReadOnlyList<Guid>> Of(string tenant, string emailKey, CancellationToken ct)
    {
        var found = new List<Guid>();
        foreach (var (id, body) in await HeldMessages.Bodies(node.Everyones, Node.Platform, MessageCatalog.ResetWishes, ct))
            if (Opened(body) is { } wish && (await node.Directory.Find(wish.Organization, ct))?.Organization == tenant && signIns.AddressKey(tenant, wish.Email) == emailKey) found.Add(id);
        return found;
    }

    // What no key of today opens is nobody's to read either.
    private Wish? Opened(byte[] body)
    {
        try
        {
            return StoredJson.Read<Wish>(node.Root.Unwrap(Use, "", Convert.FromBase64String(StoredJson.Read<ResetWish>(body).Sealed)));
        }
        catch (Exception e) when (e is System.Security.Cryptography.CryptographicException or FormatException or JsonException)
        {
            return null;
        }
    }

    private sealed record Wish(string Organization, string Email, string? Ip, string? Agent, DateTimeOffset At);

    /// <param name="origin">Of the request; the subject is filled in here.</param>
    private async Task Send(string organization, string address, Origin origin, CancellationToken ct)
    {
        if (await node.Directory.Find(organization, ct) is not { } entry || !Email.TryParse(address, out var email)) return;
        var tenant = entry.Organization;
        // Without a mail server a link would reach nobody.
        if (!post.IsConfigured || await standings.Organization(tenant) is not null) return;
        var reader = node.Journal(tenant, origin);
        if (!Id<User>.TryParse((await reader.Holder("email", signIns.EmailKey(tenant, email), ct))?["user-".Length..], null, out var user)) return;
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            var account = await reader.Load(user, ct);
            var since = reader.Now() - Within;
            if (account.State.Status != UserStatus.Active) return;
            var events = await account.Events(ct);
            if (events.Any(e => e.Data is UserPasswordResetRequested && e.CausationId == origin.CausationId)) return;
            if (events.Count(e => e.Data is UserPasswordResetRequested && e.At > since) >= Most)
            {
                TooMany(log);
                return;
            }
            var token = ResetToken.New(tenant, user);
            var journal = node.Journal(tenant, origin with { Subject = Streams.Of(user) });
            await Enclose(journal, user, account.State, "Set a new password", name =>
            [
                $"Somebody asked for a new password for your account at {name}.",
                $"The link sets one. It works once, for {Life.TotalMinutes:0} minutes, and only the last link that was sent works.",
                "If that was not you, there is nothing to do: your password stays as it is.",
            ], ct, "Set a new password", settings.Mail.Link("password-reset", token.Text));
            try
            {
                // Only if nobody has asked meanwhile: so the bound holds over all nodes.
                await journal.Handle(user, new RequestPasswordReset(token.Hash, reader.Now() + Life), ct, version => version == account.Version);
            }
            catch (VersionMismatch)
            {
                continue;
            }
            return;
        }
    }

    /// <summary>Tells the holder, with the journal's next commit, that the password is another one now.</summary>
    public Task Notify(Journal journal, Id<User> user, User account, CancellationToken ct) => Enclose(journal, user, account, "Your password was changed", name =>
    [
        $"The password of your account at {name} was changed on {journal.Now():yyyy-MM-dd} at {journal.Now():HH:mm} UTC. Other sessions have been signed out.",
        "If that was not you, ask for a new password at the sign-in at once, and tell an owner of your organization.",
    ], ct);

    // To the address of the account, never to the one that was typed: two that compare equal need not reach the same person.
    private async Task Enclose(Journal journal, Id<User> user, User account, string subject, Func<string, IReadOnlyList<string>> paragraphs, CancellationToken ct, string? action = null, string? link = null)
    {
        var organization = await standings.Of(journal.Tenant, Id<Organization>.Parse(journal.Tenant));
        if (account.Email is not { } email || await node.Open(journal.Tenant, email, ct) is not { } address) return;
        await post.Enclose(journal, Streams.Of(user), new Letter(address, subject, paragraphs(organization.Name?.Value ?? "Nubabel"), action, link), ct);
    }

    [LoggerMessage(1, LogLevel.Warning, "A link for a new password was not sent: the account has got its share")]
    private static partial void TooMany(ILogger log);
}
