using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Api.Reads;
using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>
/// What belongs to one request: its caller, its idempotency key, and the journal and reader that are made for the caller's tenant. An
/// endpoint asks for <see cref="Journal"/>, <see cref="Reader"/>, <see cref="Host.Caller"/> or <see cref="Ids"/> and cannot name another tenant.
/// </summary>
public sealed class RequestScope(Node node, IHttpContextAccessor accessor)
{
    private const int MostAgent = 300;
    private Caller? caller;
    private Journal? journal;
    private Reader? reader;
    private Ids? ids;

    private HttpContext Http => accessor.HttpContext ?? throw new InvalidOperationException("Outside of a request.");

    /// <summary>Set once, by the check of credentials.</summary>
    public Caller Caller
    {
        get => caller ?? throw new InvalidOperationException("This route is anonymous.");
        set => caller = value;
    }

    public bool IsSignedIn => caller is not null;

    /// <summary>To be written with the command's events, where the request has an idempotency key.</summary>
    public IdempotencyRecord? Once { get; set; }

    /// <summary>Set when this request repeats an earlier one.</summary>
    public IdempotencyRecord? Replay { get; private set; }

    public Journal Journal => journal ??= JournalFor(Caller.Tenant, Caller.Actor);
    public Reader Reader => reader ??= ReaderOf(Caller.Tenant);

    /// <summary>Whose personal data this request shows.</summary>
    public ShownPersons Shown { get; } = new();
    public Ids Ids => ids ??= new Ids(this, node.Time);

    /// <summary>A reader of a tenant that is not the caller's own: an operator's.</summary>
    public Reader ReaderOf(string tenant) => node.Reader(tenant, subjects => Shown.Add(tenant, subjects));

    /// <summary>A journal of a route that finds out by itself who acts: sign-up, sign-in, refresh.</summary>
    public Journal JournalFor(string tenant, Actor actor) => Prepared(node.Journal(tenant, Origin(actor, actor.Subject)));

    /// <summary>A journal of a caller who says why, for the audit trail: also an operator's, who acts in an organization.</summary>
    public Journal JournalFor(string tenant, Actor actor, Reason? reason) =>
        Prepared(node.Journal(tenant, Origin(actor, actor.Subject) with { Reason = reason?.Value }));

    /// <summary>A journal for what is recorded beside the request's own command: a refusal. It takes no part in the request's idempotency.</summary>
    /// <param name="subject">Whose key seals the address and the agent.</param>
    public Journal JournalBeside(string tenant, Actor actor, string subject) => node.Journal(tenant, Origin(actor, subject));

    /// <summary>Where the request comes from, also for what is done after its answer.</summary>
    public Origin Origin(Actor actor, string subject)
    {
        var trace = Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity ? activity.Id : null;
        return new Origin(actor.ToString(), subject, Http.TraceIdentifier, null, trace, Ip, Agent);
    }

    public string? Ip => Http.Connection.RemoteIpAddress is { } ip ? (ip.IsIPv4MappedToIPv6 ? ip.MapToIPv4() : ip).ToString() : null;

    public string? Agent => Http.Request.Headers.UserAgent.ToString() is { Length: > 0 } agent ? agent[..Math.Min(agent.Length, MostAgent)] : null;

    /// <summary>From here on commands are answered from what the record's request did.</summary>
    public void Answer(IdempotencyRecord record)
    {
        (Replay, Once) = (record, null);
        if (journal is not null) Prepared(journal);
    }

    private Journal Prepared(Journal made)
    {
        (made.Once, made.Replay) = (Once, Replay);
        return made;
    }
}

/// <summary>
/// Makes ids of new streams: UUIDv7. Under an idempotency key they are derived from tenant, actor, route and key, so that a repeated request
/// names the same streams; their time is then only exact to the day, that of the first request.
/// </summary>
public sealed class Ids(RequestScope scope, TimeProvider time)
{
    private IdempotencyRecord? counted;
    private int count;

    public Id<T> New<T>()
    {
        var record = scope.Replay ?? scope.Once;
        // An endpoint that runs again, now to repeat an answer, names its streams from the first on again.
        if (!ReferenceEquals(record, counted)) (counted, count) = (record, 0);
        return new Id<T>(record is null ? Guid.CreateVersion7(time.GetUtcNow()) : Derived(record, typeof(T).Name, count++));
    }

    private static Guid Derived(IdempotencyRecord record, string kind, int number)
    {
        var bytes = SHA256.HashData(Encoding.UTF8.GetBytes($"{record.Tenant}\n{record.Scope}\n{record.Key}\n{Convert.ToHexString(record.RequestHash)}\n{kind}\n{number}")).AsSpan(0, 16);
        var day = record.Created.ToUnixTimeMilliseconds() / 86_400_000 * 86_400_000;
        for (var i = 0; i < 6; i++) bytes[i] = (byte)(day >> (40 - 8 * i));
        bytes[6] = (byte)(0x70 | (bytes[6] & 0x0F));
        bytes[8] = (byte)(0x80 | (bytes[8] & 0x3F));
        return new Guid(bytes, bigEndian: true);
    }
}
