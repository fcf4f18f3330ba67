using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Webhooks;

/// <summary>A provider may send webhooks from now on, signed with this secret.</summary>
/// <param name="SealedSecret">Readable for the servers alone.</param>
/// <param name="SecretHash">A keyed hash of it, to tell whether another one is the same.</param>
public sealed record WebhookSourceAdded(ProviderName Provider, WebhookPreset Preset, string SealedSecret, string SecretHash, SourceName? Name = null) : Event<WebhookSource>;

/// <summary>The secret has a successor.</summary>
/// <param name="Generation">Of the successor.</param>
/// <param name="OldValidUntil">Until when the secret before it counts too. It stands in the event because a fold sees no envelope.</param>
public sealed record WebhookSourceRotated(int Generation, string SealedSecret, string SecretHash, DateTimeOffset OldValidUntil) : Event<WebhookSource>;
public sealed record WebhookSourceRemoved : Event<WebhookSource>;

public sealed record AddWebhookSource(ProviderName Provider, WebhookPreset Preset, string SealedSecret, string SecretHash, SourceName? Name = null) : Command<WebhookSource>;

/// <summary>Replaces the secret of a generation; the one before it counts for a while, an older one no longer.</summary>
/// <param name="Generation">The one that is replaced.</param>
public sealed record RotateWebhookSource(int Generation, string SealedSecret, string SecretHash, int OverlapSeconds) : Command<WebhookSource>;
public sealed record RemoveWebhookSource : Command<WebhookSource>;

/// <summary>How a provider signs.</summary>
[JsonConverter(typeof(WebhookPresetConverter))]
public enum WebhookPreset { Default, Standard, Github, Stripe, Slack }

internal sealed class WebhookPresetConverter() : WordConverter<WebhookPreset>("webhook_source.preset_invalid");

/// <summary>Where a source is in its life.</summary>
[JsonConverter(typeof(WebhookSourceStatusConverter))]
public enum WebhookSourceStatus { None, Active, Removed }

internal sealed class WebhookSourceStatusConverter() : WordConverter<WebhookSourceStatus>("webhook_source.status_invalid");

/// <summary>What people call a source: which repository, which account.</summary>
[JsonConverter(typeof(ValueConverter<SourceName>))]
public sealed record SourceName : IValue<SourceName>
{
    public const int MaximumCharacters = 200;
    public const int MaximumBytes = 800;

    private SourceName(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>webhook_source.name_invalid</c>.</exception>
    public static SourceName Parse(string text) => new(Text.Line(text, MaximumCharacters, MaximumBytes, "webhook_source.name_invalid", "A source's name"));
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out SourceName? name) => Attempt.Parse(text, out name);
    public override string ToString() => Value;
}

/// <summary>A secret of a source that its successor has replaced.</summary>
public sealed record OldSecret(string Sealed, DateTimeOffset ValidUntil);

/// <summary>
/// A provider from which an organization takes webhooks, with an address of its own. Its secret can be replaced; at most two count at a time. Once removed it
/// never comes back.
/// </summary>
public sealed record WebhookSource(
    WebhookSourceStatus Status, ProviderName? Provider, WebhookPreset Preset, SourceName? Name, int Generation, string SealedSecret, string SecretHash, OldSecret? Old) : IAggregate<WebhookSource>
{
    /// <summary>A week: longer than any provider signs with the old one.</summary>
    public const int MostOverlapSeconds = 7 * 24 * 60 * 60;

    public static string Kind => "webhook-source";
    public static WebhookSource Initial { get; } = new(WebhookSourceStatus.None, null, WebhookPreset.Default, null, 0, "", "", null);

    public static WebhookSource Evolve(WebhookSource state, Event<WebhookSource> e) => e switch
    {
        WebhookSourceAdded a => new WebhookSource(WebhookSourceStatus.Active, a.Provider, a.Preset, a.Name, 0, a.SealedSecret, a.SecretHash, null),
        WebhookSourceRotated r => state with { Generation = r.Generation, SealedSecret = r.SealedSecret, SecretHash = r.SecretHash, Old = new OldSecret(state.SealedSecret, r.OldValidUntil) },
        WebhookSourceRemoved => state with { Status = WebhookSourceStatus.Removed },
        _ => state,
    };

    public static IReadOnlyList<Event<WebhookSource>> Decide(WebhookSource state, Command<WebhookSource> command, Context at) => command switch
    {
        AddWebhookSource c => state.Add(c),
        _ when state.Status != WebhookSourceStatus.Active => throw new Refused(RefusalKind.Missing, "webhook_source.missing", "There is no such webhook source."),
        RotateWebhookSource c => state.Rotate(c, at.Now),
        RemoveWebhookSource => [new WebhookSourceRemoved()],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    /// <summary>The sealed secrets that count at a time: one or two.</summary>
    public IReadOnlyList<string> Secrets(DateTimeOffset now) => Old is { } old && now < old.ValidUntil ? [SealedSecret, old.Sealed] : [SealedSecret];

    private Event<WebhookSource>[] Add(AddWebhookSource c) => Status switch
    {
        WebhookSourceStatus.None => [new WebhookSourceAdded(c.Provider, c.Preset, c.SealedSecret, c.SecretHash, c.Name)],
        WebhookSourceStatus.Active when Generation == 0 && (Provider, Preset, SecretHash, Name) == (c.Provider, c.Preset, c.SecretHash, c.Name) => [],
        _ => throw new Refused(RefusalKind.Conflict, "webhook_source.exists", "Another webhook source has this id."),
    };

    private Event<WebhookSource>[] Rotate(RotateWebhookSource c, DateTimeOffset now)
    {
        if (c.OverlapSeconds is < 0 or > MostOverlapSeconds)
            throw new Refused(RefusalKind.Invalid, "webhook_source.overlap_invalid", $"The overlap is 0 to {MostOverlapSeconds} seconds.", "overlapSeconds");
        if (c.SecretHash == SecretHash) return [];
        if (c.Generation != Generation) throw new Refused(RefusalKind.Conflict, "webhook_source.rotated", "The secret was replaced meanwhile.");
        return [new WebhookSourceRotated(Generation + 1, c.SealedSecret, c.SecretHash, now.AddSeconds(c.OverlapSeconds))];
    }
}
