using System.Text.Json.Serialization;
using Nubabel.Domain.Organizations;

namespace Nubabel.Domain.Flags;

public sealed record FlagCreated(FlagKey Key, bool Enabled, FlagDescription? Description = null) : Event<Flag>;
public sealed record FlagDescribed(FlagDescription Description) : Event<Flag>;
public sealed record FlagEnabled : Event<Flag>;
public sealed record FlagDisabled : Event<Flag>;
public sealed record FlagRuleAdded(FlagRule Rule) : Event<Flag>;
public sealed record FlagRulesReplaced(IReadOnlyList<FlagRule> Rules) : Event<Flag>
{
    // By what it holds: a list alone would be equal to itself only.
    public bool Equals(FlagRulesReplaced? other) => other is not null && Rules.SequenceEqual(other.Rules);
    public override int GetHashCode() => Rules.Count;
}
public sealed record FlagRuleRemoved(Id<FlagRule> Id) : Event<Flag>;
public sealed record FlagOverrideSet(Id<Organization> OrganizationId, bool Enabled, DateTimeOffset? ExpiresAt = null) : Event<Flag>;
public sealed record FlagOverrideRemoved(Id<Organization> OrganizationId) : Event<Flag>;
public sealed record FlagArchived : Event<Flag>;

public sealed record CreateFlag(FlagKey Key, bool Enabled, FlagDescription? Description = null) : Command<Flag>;

/// <summary>What is null stays as it is.</summary>
public sealed record ChangeFlag(FlagDescription? Description = null, bool? Enabled = null) : Command<Flag>;

/// <summary>Behind the rules that are there.</summary>
public sealed record AddFlagRule(FlagRule Rule) : Command<Flag>;
public sealed record ReplaceFlagRules(IReadOnlyList<FlagRule> Rules) : Command<Flag>
{
    public bool Equals(ReplaceFlagRules? other) => other is not null && Rules.SequenceEqual(other.Rules);
    public override int GetHashCode() => Rules.Count;
}
public sealed record RemoveFlagRule(Id<FlagRule> Id) : Command<Flag>;
public sealed record SetFlagOverride(Id<Organization> OrganizationId, bool Enabled, DateTimeOffset? ExpiresAt = null) : Command<Flag>;
public sealed record RemoveFlagOverride(Id<Organization> OrganizationId) : Command<Flag>;
public sealed record ArchiveFlag : Command<Flag>;

/// <summary>Where a flag is in its life; it only ever moves on.</summary>
[JsonConverter(typeof(FlagStatusConverter))]
public enum FlagStatus { None, Active, Archived }

internal sealed class FlagStatusConverter() : WordConverter<FlagStatus>("flag.status_invalid");

/// <summary>
/// A switch for all organizations, with rules and overrides for some. Its stream is named by its key and belongs to the platform. Once archived it is off
/// for everybody and for good; its key is never given to another flag, so that old code cannot mean a new flag.
/// </summary>
public sealed record Flag(
    FlagStatus Status, FlagKey? Key, bool Enabled, FlagDescription? Description, IReadOnlyList<FlagRule> Rules, IReadOnlyList<FlagOverride> Overrides) : IAggregate<Flag>
{
    /// <summary>Rules of a flag: they are looked at one after the other.</summary>
    public const int MostRules = 50;

    /// <summary>Organizations named in all rules of a flag together; every node holds them in memory.</summary>
    public const int MostOrganizations = 5_000;

    /// <summary>Overrides of a flag, expired ones included until they are removed.</summary>
    public const int MostOverrides = 1_000;

    public static string Kind => "flag";
    public static Flag Initial { get; } = new(FlagStatus.None, null, false, null, [], []);

    public static Flag Evolve(Flag state, Event<Flag> e) => e switch
    {
        FlagCreated c => new Flag(FlagStatus.Active, c.Key, c.Enabled, Shown(c.Description), [], []),
        FlagDescribed d => state with { Description = Shown(d.Description) },
        FlagEnabled => state with { Enabled = true },
        FlagDisabled => state with { Enabled = false },
        FlagRuleAdded a => state with { Rules = [.. state.Rules, a.Rule] },
        FlagRulesReplaced r => state with { Rules = r.Rules },
        FlagRuleRemoved r => state with { Rules = [.. state.Rules.Where(rule => rule.Id != r.Id)] },
        FlagOverrideSet o => state with { Overrides = [.. state.OverridesBut(o.OrganizationId), new FlagOverride(o.OrganizationId, o.Enabled, o.ExpiresAt)] },
        FlagOverrideRemoved o => state with { Overrides = [.. state.OverridesBut(o.OrganizationId)] },
        FlagArchived => state with { Status = FlagStatus.Archived },
        _ => state,
    };

    public static IReadOnlyList<Event<Flag>> Decide(Flag state, Command<Flag> command, Context at) => command switch
    {
        CreateFlag c => state.Create(c),
        _ when state.Status == FlagStatus.None => throw new Refused(RefusalKind.Missing, "flag.missing", "There is no such flag."),
        ArchiveFlag => state.Status == FlagStatus.Archived ? [] : [new FlagArchived()],
        _ when state.Status == FlagStatus.Archived => throw Archived(),
        ChangeFlag c => state.Change(c),
        AddFlagRule c => state.AddRule(c.Rule.Checked()),
        ReplaceFlagRules c => state.ReplaceRules([.. c.Rules.Select(rule => rule.Checked())]),
        RemoveFlagRule c => state.RemoveRule(c.Id),
        SetFlagOverride c => state.SetOverride(c, at.Now),
        RemoveFlagOverride c => state.RemoveOverride(c.OrganizationId),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    private Event<Flag>[] Create(CreateFlag c)
    {
        if (Status == FlagStatus.None) return [new FlagCreated(c.Key, c.Enabled, Shown(c.Description))];
        if (Status == FlagStatus.Archived) throw Archived();
        var same = Enabled == c.Enabled && Description == Shown(c.Description) && Rules.Count == 0 && Overrides.Count == 0;
        return same ? [] : throw new Refused(RefusalKind.Conflict, "flag.exists", "There is a flag with this key.");
    }

    private Event<Flag>[] Change(ChangeFlag c)
    {
        var events = new List<Event<Flag>>();
        if (c.Description is { } text && Shown(text) != Description) events.Add(new FlagDescribed(text));
        if (c.Enabled is { } enabled && enabled != Enabled) events.Add(enabled ? new FlagEnabled() : new FlagDisabled());
        return [.. events];
    }

    private Event<Flag>[] AddRule(FlagRule rule)
    {
        if (Rules.FirstOrDefault(r => r.Id == rule.Id) is { } there) return there.SaysAs(rule) ? [] : throw RuleExists();
        Bound([.. Rules, rule]);
        return [new FlagRuleAdded(rule)];
    }

    private Event<Flag>[] ReplaceRules(FlagRule[] rules)
    {
        if (rules.DistinctBy(r => r.Id).Count() < rules.Length) throw RuleExists();
        // The ids of rules that were sent without are new each time; what says the same in the same order changes nothing.
        if (rules.Length == Rules.Count && rules.Zip(Rules).All(pair => pair.First.SaysAs(pair.Second))) return [];
        Bound(rules);
        return [new FlagRulesReplaced(rules)];
    }

    private Event<Flag>[] RemoveRule(Id<FlagRule> id) => Rules.Any(r => r.Id == id)
        ? [new FlagRuleRemoved(id)]
        : throw new Refused(RefusalKind.Missing, "flag.rule_missing", "The flag has no such rule.");

    private Event<Flag>[] SetOverride(SetFlagOverride c, DateTimeOffset now)
    {
        var others = OverridesBut(c.OrganizationId).ToArray();
        // Before the expiry is looked at: a command that is repeated later is still the same one.
        if (Overrides.Contains(new FlagOverride(c.OrganizationId, c.Enabled, c.ExpiresAt))) return [];
        if (c.ExpiresAt <= now) throw new Refused(RefusalKind.Invalid, "flag.override_expired", "The override would have expired already.", "expiresAt");
        if (others.Length >= MostOverrides) throw new Refused(RefusalKind.Conflict, "flag.too_many_overrides", $"A flag has at most {MostOverrides} overrides; remove those that have expired.");
        return [new FlagOverrideSet(c.OrganizationId, c.Enabled, c.ExpiresAt)];
    }

    private Event<Flag>[] RemoveOverride(Id<Organization> organization) => Overrides.Any(o => o.OrganizationId == organization)
        ? [new FlagOverrideRemoved(organization)]
        : throw new Refused(RefusalKind.Missing, "flag.override_missing", "The flag has no override for this organization.");

    private IEnumerable<FlagOverride> OverridesBut(Id<Organization> organization) => Overrides.Where(o => o.OrganizationId != organization);

    private static void Bound(FlagRule[] rules)
    {
        if (rules.Length > MostRules || rules.Sum(r => r.Organizations?.Count ?? 0) > MostOrganizations)
            throw new Refused(RefusalKind.Conflict, "flag.too_many_rules", $"A flag has at most {MostRules} rules, which name at most {MostOrganizations} organizations together.");
    }

    private static FlagDescription? Shown(FlagDescription? description) => description is { IsEmpty: false } ? description : null;
    private static Refused Archived() => new(RefusalKind.Conflict, "flag.archived", "The flag is archived.");
    private static Refused RuleExists() => new(RefusalKind.Conflict, "flag.rule_exists", "Another rule of the flag has this id.");
}
