using System.Globalization;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Consumers;

/// <summary>A consumer was made; it gets what happens from here on.</summary>
/// <param name="SealedSecret">What deliveries are signed with, sealed under the consumer's own key.</param>
/// <param name="Slot">Which of the organization's places for consumers it takes: no two hold the same one, so their number is exact.</param>
public sealed record ConsumerCreated(
    ConsumerName Name, EndpointUrl Url, IReadOnlyList<PublicType> Types, bool Ordered, string SealedSecret, int Slot, ConsumerDescription? Description = null) : Event<Consumer>
{
    // By what it holds: a list alone would be equal to itself only.
    public bool Equals(ConsumerCreated? other) => other is not null && Types.SequenceEqual(other.Types)
        && (Name, Url, Ordered, SealedSecret, Slot, Description) == (other.Name, other.Url, other.Ordered, other.SealedSecret, other.Slot, other.Description);
    public override int GetHashCode() => HashCode.Combine(Name, Url);
}
public sealed record ConsumerRenamed(ConsumerName Name) : Event<Consumer>;
public sealed record ConsumerDescribed(ConsumerDescription Description) : Event<Consumer>;
public sealed record ConsumerUrlChanged(EndpointUrl Url) : Event<Consumer>;
public sealed record ConsumerTypesChosen(IReadOnlyList<PublicType> Types) : Event<Consumer>
{
    public bool Equals(ConsumerTypesChosen? other) => other is not null && Types.SequenceEqual(other.Types);
    public override int GetHashCode() => Types.Count;
}

/// <summary>Whether the events of one object come one after the other, from here on.</summary>
public sealed record ConsumerOrderChanged(bool Ordered) : Event<Consumer>;

/// <summary>Deliveries wait until it is active again.</summary>
public sealed record ConsumerPaused : Event<Consumer>;
public sealed record ConsumerActivated : Event<Consumer>;

/// <summary>Nothing is delivered any more, and what happens meanwhile is not kept for it.</summary>
/// <param name="FailingSince">Since when no delivery has succeeded, where that is the reason.</param>
public sealed record ConsumerDisabled(DisabledBecause Because, DateTimeOffset? FailingSince = null) : Event<Consumer>;

/// <summary>The secret has a successor, and deliveries carry both signatures for a while.</summary>
/// <param name="Generation">Of the successor.</param>
/// <param name="OldValidUntil">Until when deliveries are signed with the secret before it too. It stands in the event because a fold sees no envelope.</param>
/// <param name="OverlapSeconds">From the rotation to that time.</param>
public sealed record ConsumerSecretRotated(int Generation, string SealedSecret, DateTimeOffset OldValidUntil, int OverlapSeconds) : Event<Consumer>;

/// <summary>Deliveries are signed with the last secret alone.</summary>
public sealed record ConsumerOverlapEnded : Event<Consumer>;

/// <summary>Somebody had an event delivered once more.</summary>
public sealed record ConsumerDeliveryResent(Guid Delivery, int Round) : Event<Consumer>;

/// <summary>Events of the past were delivered once more.</summary>
/// <param name="Job">The job that has done it.</param>
/// <param name="After">The position behind which it began.</param>
/// <param name="To">The last position it looked at.</param>
public sealed record ConsumerReplayed(Guid Job, long After, long To, int Events) : Event<Consumer>;
public sealed record ConsumerRemoved : Event<Consumer>;

/// <summary>The edge has looked at the URL and at the types.</summary>
public sealed record CreateConsumer(
    ConsumerName Name, EndpointUrl Url, IReadOnlyList<PublicType> Types, bool Ordered, string SealedSecret, int Slot, ConsumerDescription? Description = null) : Command<Consumer>
{
    public bool Equals(CreateConsumer? other) => other is not null && Types.SequenceEqual(other.Types)
        && (Name, Url, Ordered, SealedSecret, Slot, Description) == (other.Name, other.Url, other.Ordered, other.SealedSecret, other.Slot, other.Description);
    public override int GetHashCode() => HashCode.Combine(Name, Url);
}

/// <summary>What is null stays as it is.</summary>
public sealed record ChangeConsumer(
    ConsumerName? Name = null, EndpointUrl? Url = null, IReadOnlyList<PublicType>? Types = null, bool? Ordered = null, ConsumerDescription? Description = null) : Command<Consumer>
{
    public bool Equals(ChangeConsumer? other) => other is not null && (Types ?? []).SequenceEqual(other.Types ?? []) && Types is null == other.Types is null
        && (Name, Url, Ordered, Description) == (other.Name, other.Url, other.Ordered, other.Description);
    public override int GetHashCode() => HashCode.Combine(Name, Url);
}
public sealed record PauseConsumer : Command<Consumer>;

/// <summary>Ends a pause, and lets a disabled consumer go on.</summary>
public sealed record ActivateConsumer : Command<Consumer>;
public sealed record DisableConsumer(DisabledBecause Because, DateTimeOffset? FailingSince = null) : Command<Consumer>;

/// <param name="Generation">The one that is replaced.</param>
/// <param name="SealedSecret">The successor.</param>
public sealed record RotateConsumerSecret(int Generation, string SealedSecret, int OverlapSeconds) : Command<Consumer>;
public sealed record EndConsumerOverlap : Command<Consumer>;

/// <param name="Round">Of the delivery's rounds of attempts, the one that this begins.</param>
public sealed record ResendDelivery(Guid Delivery, int Round) : Command<Consumer>, IRecordsEachTime;

/// <summary>The edge has enqueued them.</summary>
public sealed record NoteReplay(Guid Job, long After, long To, int Events) : Command<Consumer>, IRecordsEachTime;
public sealed record RemoveConsumer : Command<Consumer>;

/// <summary>Where a consumer is in its life.</summary>
[JsonConverter(typeof(ConsumerStatusConverter))]
public enum ConsumerStatus { None, Active, Paused, Disabled, Removed }

internal sealed class ConsumerStatusConverter() : WordConverter<ConsumerStatus>("consumer.status_invalid");

/// <summary>Why a consumer was disabled: its endpoint answered that it is gone for good (410), or has failed for days.</summary>
[JsonConverter(typeof(DisabledBecauseConverter))]
public enum DisabledBecause { Gone, Failing }

internal sealed class DisabledBecauseConverter() : WordConverter<DisabledBecause>("consumer.reason_invalid");

/// <summary>The secret before the current one.</summary>
public sealed record OldSecret(int Generation, string Sealed, DateTimeOffset ValidUntil, int OverlapSeconds)
{
    /// <summary>Until when a rotation that asks for the same is taken for a repetition of the one that replaced this secret.</summary>
    public DateTimeOffset RepeatableUntil => ValidUntil.AddSeconds(Consumer.RepeatSeconds - OverlapSeconds);
}

/// <summary>
/// An endpoint of an organization that integration events are delivered to, signed. At most two of its secrets are live at a time. Once removed it never
/// comes back, and its name and place are free again.
/// </summary>
public sealed record Consumer(
    ConsumerStatus Status, ConsumerName? Name, EndpointUrl? Url, IReadOnlyList<PublicType> Types, bool Ordered, ConsumerDescription? Description, int Slot, int Generation, string Secret,
    OldSecret? Old) : IAggregate<Consumer>
{
    public const int MostTypes = 100;

    /// <summary>A day, where a rotation says nothing else.</summary>
    public const int UsualOverlapSeconds = 24 * 60 * 60;

    /// <summary>A week.</summary>
    public const int MostOverlapSeconds = 7 * 24 * 60 * 60;

    /// <summary>How long a rotation may be repeated (a lost answer, a second click) and get the same successor.</summary>
    public const int RepeatSeconds = 30;

    /// <summary>The scope of the claims on places.</summary>
    public const string SlotScope = "consumer-slot";

    public static string Kind => "consumer";
    public static Consumer Initial { get; } = new(ConsumerStatus.None, null, null, [], false, null, 0, 0, "", null);

    /// <summary>The sealed secrets that a delivery is signed with at a time, the current one first.</summary>
    public IEnumerable<string> SecretsAt(DateTimeOffset now) => Old is { } old && now < old.ValidUntil ? [Secret, old.Sealed] : [Secret];

    public static Consumer Evolve(Consumer state, Event<Consumer> e) => e switch
    {
        ConsumerCreated c => new Consumer(ConsumerStatus.Active, c.Name, c.Url, c.Types, c.Ordered, Shown(c.Description), c.Slot, 0, c.SealedSecret, null),
        ConsumerRenamed r => state with { Name = r.Name },
        ConsumerDescribed d => state with { Description = Shown(d.Description) },
        ConsumerUrlChanged u => state with { Url = u.Url },
        ConsumerTypesChosen t => state with { Types = t.Types },
        ConsumerOrderChanged o => state with { Ordered = o.Ordered },
        ConsumerPaused => state with { Status = ConsumerStatus.Paused },
        ConsumerActivated => state with { Status = ConsumerStatus.Active },
        ConsumerDisabled => state with { Status = ConsumerStatus.Disabled },
        ConsumerSecretRotated r => state with { Generation = r.Generation, Secret = r.SealedSecret, Old = new OldSecret(state.Generation, state.Secret, r.OldValidUntil, r.OverlapSeconds) },
        ConsumerOverlapEnded => state with { Old = null },
        ConsumerDeliveryResent => state,
        ConsumerReplayed => state,
        ConsumerRemoved => state with { Status = ConsumerStatus.Removed, Old = null },
        _ => state,
    };

    public static IReadOnlyList<Event<Consumer>> Decide(Consumer state, Command<Consumer> command, Context at) => command switch
    {
        CreateConsumer c => state.Create(c),
        // Removed too, to remove once more included: a second DELETE is a 404.
        _ when state.Status is ConsumerStatus.None or ConsumerStatus.Removed => throw new Refused(RefusalKind.Missing, "consumer.missing", "There is no such consumer."),
        ChangeConsumer c => state.Change(c),
        PauseConsumer => state.Pause(),
        ActivateConsumer => state.Status == ConsumerStatus.Active ? [] : [new ConsumerActivated()],
        DisableConsumer c => state.Status == ConsumerStatus.Disabled ? [] : [new ConsumerDisabled(c.Because, c.FailingSince)],
        RotateConsumerSecret c => state.Rotate(c, at.Now),
        EndConsumerOverlap => state.Old is { } old && at.Now < old.ValidUntil ? [new ConsumerOverlapEnded()] : [],
        ResendDelivery when state.Status == ConsumerStatus.Disabled => throw Disabled(),
        ResendDelivery c => [new ConsumerDeliveryResent(c.Delivery, c.Round)],
        NoteReplay c => [new ConsumerReplayed(c.Job, c.After, c.To, c.Events)],
        RemoveConsumer => [new ConsumerRemoved()],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    public static IEnumerable<Claim> Claims(Consumer state) => state is { Status: not (ConsumerStatus.None or ConsumerStatus.Removed), Name: { } name }
        ? [
            new Claim("consumer-name", name.Folded, "consumer.name_taken", "name"),
            new Claim(SlotScope, state.Slot.ToString(CultureInfo.InvariantCulture), "consumer.limit"),
        ]
        : [];

    private Event<Consumer>[] Create(CreateConsumer c)
    {
        if (Status != ConsumerStatus.None)
        {
            // Whatever place and secret it was given: a command that is repeated may have found others.
            return Name == c.Name && Url == c.Url && Ordered == c.Ordered && Description == Shown(c.Description) && Types.SequenceEqual(c.Types) && Status == ConsumerStatus.Active
                ? []
                : throw new Refused(RefusalKind.Conflict, "consumer.exists", "Another consumer has this id.");
        }
        Check(c.Types);
        return [new ConsumerCreated(c.Name, c.Url, c.Types, c.Ordered, c.SealedSecret, c.Slot, Shown(c.Description))];
    }

    private Event<Consumer>[] Change(ChangeConsumer c)
    {
        if (c.Types is not null) Check(c.Types);
        var events = new List<Event<Consumer>>();
        if (c.Name is { } name && name != Name) events.Add(new ConsumerRenamed(name));
        if (c.Url is { } url && url != Url) events.Add(new ConsumerUrlChanged(url));
        if (c.Types is { } types && !types.SequenceEqual(Types)) events.Add(new ConsumerTypesChosen(types));
        if (c.Ordered is { } ordered && ordered != Ordered) events.Add(new ConsumerOrderChanged(ordered));
        if (c.Description is { } text && Shown(text) != Description) events.Add(new ConsumerDescribed(text));
        return [.. events];
    }

    private Event<Consumer>[] Pause() => Status switch
    {
        ConsumerStatus.Paused => [],
        ConsumerStatus.Active => [new ConsumerPaused()],
        _ => throw Disabled(),
    };

    private Event<Consumer>[] Rotate(RotateConsumerSecret c, DateTimeOffset now)
    {
        if (c.OverlapSeconds is < 0 or > MostOverlapSeconds)
            throw new Refused(RefusalKind.Invalid, "consumer.overlap_invalid", $"The overlap is 0 to {MostOverlapSeconds} seconds.", "overlapSeconds");
        if (c.SealedSecret == Secret) return [];
        if (Old is { } old && old.OverlapSeconds == c.OverlapSeconds && now < old.RepeatableUntil) return [];
        if (c.Generation != Generation) throw new Refused(RefusalKind.Conflict, "consumer.rotated", "The secret was rotated meanwhile.");
        return [new ConsumerSecretRotated(Generation + 1, c.SealedSecret, now.AddSeconds(c.OverlapSeconds), c.OverlapSeconds)];
    }

    private static void Check(IReadOnlyList<PublicType> types)
    {
        if (types.Count is 0 or > MostTypes || types.Distinct().Count() < types.Count || types.Count > 1 && types.Contains(PublicType.All))
            throw new Refused(RefusalKind.Invalid, "consumer.types_invalid", $"A consumer wants 1 to {MostTypes} types, each once, or * alone.", "types");
    }

    private static Refused Disabled() => new(RefusalKind.Conflict, "consumer.disabled", "The consumer is disabled.");

    private static ConsumerDescription? Shown(ConsumerDescription? description) => description is { IsEmpty: false } ? description : null;
}
