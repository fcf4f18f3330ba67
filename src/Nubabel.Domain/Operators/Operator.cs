using System.Text.Json.Serialization;

namespace Nubabel.Domain.Operators;

/// <summary>Somebody may run the platform.</summary>
/// <param name="EmailKey">The keyed hash of the normalised address: what sign-in looks up and what is unique.</param>
/// <param name="PasswordHash">As the password hasher wrote it, salt and cost included.</param>
public sealed record OperatorAdded(Personal Email, string EmailKey, string PasswordHash) : Event<Operator>;

/// <summary>The operator runs the platform no more. The address is free for another account.</summary>
public sealed record OperatorRemoved : Event<Operator>;

public sealed record AddOperator(Personal Email, string EmailKey, string PasswordHash) : Command<Operator>;
public sealed record RemoveOperator : Command<Operator>;

/// <summary>Where an operator's account is in its life.</summary>
[JsonConverter(typeof(OperatorStatusConverter))]
public enum OperatorStatus { None, Active, Removed }

internal sealed class OperatorStatusConverter() : WordConverter<OperatorStatus>("operator.status_invalid");

/// <summary>Runs the platform: a realm of its own, whose streams belong to the platform's tenant. Added at the machine, never over the network.</summary>
public sealed record Operator(OperatorStatus Status, Personal? Email, string EmailKey, string PasswordHash) : IAggregate<Operator>
{
    public static string Kind => "operator";
    public static Operator Initial { get; } = new(OperatorStatus.None, null, "", "");

    public static Operator Evolve(Operator state, Event<Operator> e) => e switch
    {
        OperatorAdded a => new Operator(OperatorStatus.Active, a.Email, a.EmailKey, a.PasswordHash),
        OperatorRemoved => state with { Status = OperatorStatus.Removed },
        _ => state,
    };

    public static IReadOnlyList<Event<Operator>> Decide(Operator state, Command<Operator> command, Context at) => command switch
    {
        AddOperator c => state.Add(c),
        RemoveOperator => state.Remove(),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    public static IEnumerable<Claim> Claims(Operator state) =>
        state.Status == OperatorStatus.Active ? [new Claim("operator-email", state.EmailKey, "operator.email_taken")] : [];

    private Event<Operator>[] Add(AddOperator c)
    {
        if (Status == OperatorStatus.None) return [new OperatorAdded(c.Email, c.EmailKey, c.PasswordHash)];
        // The hash is salted, so a repeated command brings another one for the same password.
        return Status == OperatorStatus.Active && EmailKey == c.EmailKey ? [] : throw new Refused(RefusalKind.Conflict, "operator.exists", "Another operator has this id.");
    }

    private Event<Operator>[] Remove() => Status switch
    {
        OperatorStatus.Active => [new OperatorRemoved()],
        OperatorStatus.Removed => [],
        _ => throw new Refused(RefusalKind.Missing, "operator.missing", "There is no such operator."),
    };
}
