using System.Text.Json.Serialization;
using Nubabel.Domain.Organizations;

namespace Nubabel.Domain.Flags;

/// <summary>What a rule does with the organizations it matches.</summary>
[JsonConverter(typeof(FlagRuleTypeConverter))]
public enum FlagRuleType { Allow, Block, Percentage }

internal sealed class FlagRuleTypeConverter() : WordConverter<FlagRuleType>("flag.rule_type_invalid");

/// <summary>
/// One of a flag's ordered rules; the first that matches decides. <c>allow</c> and <c>block</c> name organizations, <c>percentage</c> a share of all.
/// </summary>
public sealed record FlagRule(Id<FlagRule> Id, FlagRuleType Type, IReadOnlyList<Id<Organization>>? Organizations = null, Percentage? Percentage = null)
{
    /// <summary>Whether it says the same, whatever its id.</summary>
    public bool SaysAs(FlagRule other) =>
        Type == other.Type && Percentage == other.Percentage && (Organizations ?? []).SequenceEqual(other.Organizations ?? []);

    /// <summary>By what it holds: a list alone would be equal to itself only.</summary>
    public bool Equals(FlagRule? other) => other is not null && Id == other.Id && SaysAs(other);

    public override int GetHashCode() => HashCode.Combine(Id, Type, Percentage, Organizations?.Count);

    /// <summary>The rule with each organization once, or a refusal where its members do not fit its type.</summary>
    /// <exception cref="Refused"><c>flag.rule_invalid</c>.</exception>
    internal FlagRule Checked()
    {
        var fits = Type == FlagRuleType.Percentage ? Percentage is not null && Organizations is null : Percentage is null && Organizations is { Count: > 0 };
        if (!fits) throw new Refused(RefusalKind.Invalid, "flag.rule_invalid", "A rule of type allow or block names at least one organization, one of type percentage a percentage, and neither has the other's member.");
        return this with { Organizations = Organizations?.Distinct().ToArray() };
    }
}

/// <summary>What a flag is for one organization, before any rule. After <paramref name="ExpiresAt"/> it counts no more.</summary>
public sealed record FlagOverride(Id<Organization> OrganizationId, bool Enabled, DateTimeOffset? ExpiresAt = null);
