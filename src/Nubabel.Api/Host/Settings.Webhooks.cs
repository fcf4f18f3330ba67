using Nubabel.Api.Webhooks;
using Nubabel.Domain.Webhooks;

namespace Nubabel.Api.Host;

/// <summary>A provider whose webhooks the platform takes.</summary>
/// <param name="Secrets">One, or two while one replaces the other.</param>
public sealed record PlatformProvider(WebhookPreset Preset, IReadOnlyList<string> Secrets)
{
    // A record prints its members; secrets must not be in a log.
    public override string ToString() => $"({Preset})";
}

/// <summary>The providers whose webhooks the platform takes, by the ends of their variables.</summary>
public sealed class PlatformProviders(IReadOnlyDictionary<string, PlatformProvider> byVariable)
{
    public static PlatformProviders None { get; } = new(new Dictionary<string, PlatformProvider>());

    /// <summary>Those of <c>acme-pay</c> end in <c>ACME_PAY</c>.</summary>
    public PlatformProvider? Find(ProviderName name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return byVariable.GetValueOrDefault(name.Value.Replace('-', '_').ToUpperInvariant());
    }
}

public sealed partial record Settings
{
    private const string SecretStart = "WEBHOOK_SECRET_", PreviousStart = "WEBHOOK_SECRET_PREVIOUS_", PresetStart = "WEBHOOK_PRESET_";

    public PlatformProviders Providers { get; init; } = PlatformProviders.None;

    private static PlatformProviders ProvidersOf(IConfiguration configuration, List<string> errors)
    {
        var previous = ByProvider(configuration, PreviousStart);
        var presets = ByProvider(configuration, PresetStart);
        var providers = new Dictionary<string, PlatformProvider>();
        foreach (var (provider, secret) in ByProvider(configuration, SecretStart).Where(p => !p.Key.StartsWith("PREVIOUS_", StringComparison.Ordinal)))
        {
            if (!ProviderName.TryParse(NameOf(provider), out var name)) errors.Add($"{SecretStart}{provider} must end in a provider's name: A–Z, 0–9 and single _ inside.");
            var preset = Scheme.Usual(presets.Remove(provider, out var word) ? word : NameOf(provider));
            string[] secrets = previous.Remove(provider, out var old) ? [secret, old] : [secret];
            if (secrets.Select(Scheme.Of(preset).Fault).FirstOrDefault(f => f is not null) is { } fault) errors.Add($"{SecretStart}{provider}, and the previous one, must be {fault}.");
            providers[provider] = new PlatformProvider(preset, secrets);
        }
        errors.AddRange(previous.Keys.Select(p => $"{PreviousStart}{p} needs {SecretStart}{p} beside it."));
        errors.AddRange(presets.Keys.Select(p => $"{PresetStart}{p} needs {SecretStart}{p} beside it."));
        return new PlatformProviders(providers);
    }

    private static string NameOf(string variable) => variable.ToLowerInvariant().Replace('_', '-');

    private static Dictionary<string, string> ByProvider(IConfiguration configuration, string start) => configuration.AsEnumerable()
        .Where(p => p.Key.StartsWith(start, StringComparison.OrdinalIgnoreCase) && !string.IsNullOrEmpty(p.Value)).ToDictionary(p => p.Key[start.Length..].ToUpperInvariant(), p => p.Value!);
}
