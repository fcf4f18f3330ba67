using System.Text.Json;

namespace Nubabel.Store;

/// <summary>A message to be handled later, once or, after a failure, again. Its type says in which queue.</summary>
/// <param name="Body">What it says; its .NET type is in the <see cref="MessageTypes"/>. Personal values in it are sealed.</param>
public sealed record Message(object Body)
{
    /// <summary>The longest <see cref="Key"/> and <see cref="Once"/>, in characters.</summary>
    public const int LongestKey = 200;

    /// <summary>Messages of a queue, tenant and key are handled one after the other, in the order in which they were enqueued. Null for no order.</summary>
    public string? Key { get; init; }

    /// <summary>
    /// Of all messages of the tenant and queue with this id, the first is enqueued and the others are not; also when it is done long since, for the days
    /// that <see cref="MessageTypes.OnceDays"/> says.
    /// </summary>
    public string? Once { get; init; }

    /// <summary>Not before this time, by the database's clock; it takes its place in the order of its key then. Null for at once.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>Not before so long from now, by the database's clock. Not together with <see cref="At"/>.</summary>
    public TimeSpan? After { get; init; }

    /// <summary>The data subject whose personal data the body carries, if one person's. When the subject is erased, the message goes.</summary>
    public string? Subject { get; init; }

    /// <summary>Facts about the message that are not its body: where it came from, what it was signed with. Kept with a dead letter.</summary>
    public IReadOnlyDictionary<string, string>? Headers { get; init; }

    /// <summary>Its id; made when it is enqueued unless the sender needs to know it before.</summary>
    public Guid? Id { get; init; }
}

/// <summary>A message as it stands in the database, on its way to a handler.</summary>
/// <param name="Id">Stays the same through all attempts, and as a dead letter.</param>
/// <param name="Seq">Its number in the order of its lane.</param>
/// <param name="Lane">What keeps the order: its key's, its share of those without a key, or its own.</param>
/// <param name="Type">The alias of its type.</param>
/// <param name="Body">As JSON.</param>
/// <param name="Actor">Who caused it.</param>
/// <param name="Attempt">The number of this attempt, from 1 on.</param>
/// <param name="Losses">How often its worker was lost while it may have been running.</param>
public sealed record Delivery(
    Guid Id, string Queue, string Tenant, string Lane, long Seq, string Type, ReadOnlyMemory<byte> Body, string? Key, string? Subject,
    string Actor, string? CorrelationId, string? CausationId, IReadOnlyDictionary<string, string> Headers, DateTimeOffset Enqueued, int Attempt, int Losses)
{
    /// <summary>The body as today's type.</summary>
    /// <exception cref="JsonException">The stored text does not fit it.</exception>
    internal object Read(MessageTypes types) => types.Read(Type, Body.Span);
}
