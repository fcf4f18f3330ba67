using System.Text.Json.Serialization;
using Nubabel.Domain.Users;

namespace Nubabel.Domain.Erasures;

/// <summary>Somebody's account was closed for good, and what is held on the person is to be erased.</summary>
/// <param name="CodeHash">SHA-256 of the secret of the receipt's code; the code itself is nowhere.</param>
/// <param name="HadAccount">False where there was nothing to close: it had been closed before.</param>
public sealed record ErasureRequested(Id<User> Account, ErasureWish Wish, string CodeHash, bool HadAccount = true) : Event<Erasure>;

/// <summary>The person's keys are destroyed, and what was kept of the person beside the log is deleted.</summary>
/// <param name="Statement">The receipt as it was signed, a compact JWS (RFC 7515).</param>
public sealed record ErasureCompleted(Erased Counts, string Statement) : Event<Erasure>;

/// <param name="Wish">Whose; the first one counts.</param>
public sealed record RequestErasure(Id<User> Account, ErasureWish Wish, string CodeHash, bool HadAccount = true) : Command<Erasure>;
public sealed record CompleteErasure(Erased Counts, string Statement) : Command<Erasure>;

/// <summary>
/// What there was. After a crash it is counted once more and what was deleted before is not in it, streams and keys excepted: those remain to be counted.
/// </summary>
/// <param name="Keys">Subjects whose keys are destroyed: the account's own, and those of invitations to its address.</param>
/// <param name="Messages">Messages that waited, and dead letters.</param>
/// <param name="Files">Bundles of exports, the organization's own included.</param>
/// <param name="Records">Idempotency records.</param>
/// <param name="Answers">Answers of consumers' endpoints to what told of the person.</param>
public sealed record Erased(int Keys, int Files, int Answers, int Devices, int Records, int Messages, int Sessions);

/// <summary>Why somebody is erased.</summary>
[JsonConverter(typeof(ErasureWishConverter))]
public enum ErasureWish
{
    /// <summary>The person's own.</summary>
    Person,

    /// <summary>An operator's, who was asked by other means.</summary>
    Operator,

    /// <summary>A policy's: the account was closed long ago.</summary>
    Retention,

    /// <summary>It had been done before, and a backup that was restored knew nothing of it.</summary>
    Ledger,
}

internal sealed class ErasureWishConverter() : WordConverter<ErasureWish>("erasure.wish_invalid");

/// <summary>How far an erasure is; it only ever moves on.</summary>
[JsonConverter(typeof(ErasureStatusConverter))]
public enum ErasureStatus { None, Requested, Completed }

internal sealed class ErasureStatusConverter() : WordConverter<ErasureStatus>("erasure.status_invalid");

/// <summary>
/// The end of a person in an organization. Its stream has the account's id, so that there is one for each account however often and by whomever it is wanted.
/// </summary>
public sealed record Erasure(ErasureStatus Status, Id<User> Account, ErasureWish Wish, string CodeHash, Erased? Counts = null, string? Statement = null) : IAggregate<Erasure>
{
    public static string Kind => "erasure";
    public static Erasure Initial { get; } = new(ErasureStatus.None, default, default, "");

    public static Erasure Evolve(Erasure state, Event<Erasure> e) => e switch
    {
        ErasureRequested r => new Erasure(ErasureStatus.Requested, r.Account, r.Wish, r.CodeHash),
        ErasureCompleted c => state with { Status = ErasureStatus.Completed, Counts = c.Counts, Statement = c.Statement },
        _ => state,
    };

    public static IReadOnlyList<Event<Erasure>> Decide(Erasure state, Command<Erasure> command, Context at) => command switch
    {
        RequestErasure c => state.Status == ErasureStatus.None ? [new ErasureRequested(c.Account, c.Wish, c.CodeHash, c.HadAccount)] : [],
        CompleteErasure c => state.Complete(c),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    /// <summary>One answer for a code that is unknown, forged or damaged, so that an answer tells nothing about it.</summary>
    public static Refused Missing() => new(RefusalKind.Missing, "erasure.missing", "There is no such erasure.");

    private Event<Erasure>[] Complete(CompleteErasure c) => Status switch
    {
        ErasureStatus.None => throw Missing(),
        ErasureStatus.Requested => [new ErasureCompleted(c.Counts, c.Statement)],
        _ => [],
    };
}
