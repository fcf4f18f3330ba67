using System.Buffers.Binary;
using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Domain.Flags;
using Nubabel.Projections.Flags;

namespace Nubabel.Api.Flags;

/// <summary>A flag in the form in which it is evaluated; never changed once it is made.</summary>
internal sealed class CompiledFlag
{
    private readonly bool enabled;
    private readonly FrozenDictionary<Guid, (bool Enabled, DateTimeOffset? ExpiresAt)> overrides;
    private readonly Rule[] rules;

    public CompiledFlag(FlagRow row, Tally tally)
    {
        (Key, Tally, enabled) = (row.Key.Value, tally, row.Enabled);
        overrides = row.Overrides.ToFrozenDictionary(o => o.OrganizationId.Value, o => (o.Enabled, o.ExpiresAt));
        rules = [.. row.Rules.Select(rule => new Rule(rule.Type, (rule.Organizations ?? []).Select(o => o.Value).ToFrozenSet(), rule.Percentage?.Hundredths ?? 0))];
    }

    public string Key { get; }
    public Tally Tally { get; }

    /// <summary>The order is a promise (docs/flags.md).</summary>
    /// <param name="cell">The organization's cell among the counts, which remembers its bucket; -1 where it has none.</param>
    public FlagValue Evaluate(Guid organization, TimeProvider time, EvaluationCounts counts, int cell)
    {
        if (!enabled) return new FlagValue(false, FlagReason.Disabled);
        if (overrides.TryGetValue(organization, out var own) && (own.ExpiresAt is not { } end || end > time.GetUtcNow())) return new FlagValue(own.Enabled, FlagReason.Override);
        foreach (var rule in rules)
        {
            var matches = rule.Type == FlagRuleType.Percentage
                // Nobody and everybody need no hash.
                ? rule.Hundredths > 0 && (rule.Hundredths == Percentage.MaximumHundredths || counts.Bucket(cell, Key, organization) < rule.Hundredths)
                : rule.Organizations.Contains(organization);
            if (matches) return new FlagValue(rule.Type != FlagRuleType.Block, FlagReason.Rule);
        }
        return new FlagValue(rules.Length == 0, FlagReason.Default);
    }

    private readonly record struct Rule(FlagRuleType Type, FrozenSet<Guid> Organizations, int Hundredths);
}

/// <summary>Which of the 10,000 buckets of a flag an organization is in: a documented promise, the same on every node and in every version.</summary>
public static class Buckets
{
    private const int IdLength = 36;

    /// <summary>SHA-256 of the UTF-8 text <c>key:organizationId</c>, its first 8 bytes big-endian, modulo 10,000.</summary>
    public static int Of(string key, Guid organization)
    {
        Span<byte> text = stackalloc byte[FlagKey.MaximumCharacters + 1 + IdLength];
        // A key is ASCII and no longer than that.
        var length = Encoding.UTF8.GetBytes(key, text);
        text[length++] = (byte)':';
        organization.TryFormat(text[length..], out var written, "D");
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(text[..(length + written)], hash);
        return (int)(BinaryPrimitives.ReadUInt64BigEndian(hash) % Percentage.MaximumHundredths);
    }
}
