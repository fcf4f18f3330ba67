using Microsoft.Extensions.Configuration;
using Nubabel.Api.Host;
using Nubabel.Domain.Webhooks;

namespace Nubabel.Api.Tests.Webhooks;

/// <summary>The platform's providers in the configuration: a start says what is wrong with them, and never what the secrets are.</summary>
public sealed class PlatformProviderTests
{
    private const string Secret = "sixteen characters";

    [Fact]
    public void A_provider_is_there_when_it_has_a_secret_and_signs_as_its_name_or_the_configuration_says()
    {
        var providers = Read(("WEBHOOK_SECRET_STRIPE", Secret), ("webhook_secret_acme_pay", Secret), ("WEBHOOK_SECRET_PREVIOUS_ACME_PAY", Secret + "!"), ("WEBHOOK_SECRET_SHOP", Secret), ("WEBHOOK_PRESET_SHOP", "github")).Settings!.Providers;
        Assert.Equal((WebhookPreset.Stripe, 1), (Find("stripe")!.Preset, Find("stripe")!.Secrets.Count));
        Assert.Equal([Secret, Secret + "!"], Find("acme-pay")!.Secrets);
        Assert.Equal((WebhookPreset.Default, WebhookPreset.Github), (Find("acme-pay")!.Preset, Find("shop")!.Preset));
        Assert.Null(Find("github"));
        Assert.Null(Find("previous-acme-pay"));

        PlatformProvider? Find(string name) => providers.Find(ProviderName.Parse(name));
    }

    [Theory]
    [InlineData("WEBHOOK_SECRET_ACME", "short")]
    [InlineData("WEBHOOK_SECRET_STANDARD", "this is no base64 and no whsec_")]
    [InlineData("WEBHOOK_SECRET_ACME__PAY", Secret)]
    [InlineData("WEBHOOK_SECRET_", Secret)]
    [InlineData("WEBHOOK_SECRET_PREVIOUS_ACME", Secret)]
    [InlineData("WEBHOOK_PRESET_ACME", "default")]
    [InlineData("WEBHOOK_PRESET_ACME", "Stripe")]
    public void What_is_wrong_is_one_line_without_the_secret(string name, string value)
    {
        var (settings, errors) = Read((name, value));
        Assert.Null(settings);
        Assert.StartsWith("WEBHOOK_", Assert.Single(errors), StringComparison.Ordinal);
        Assert.DoesNotContain(value, errors[0].Replace("one of default,", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public void The_table_of_the_configuration_says_that_there_are_secrets_and_not_which()
    {
        var table = Settings.Table(Configuration(("WEBHOOK_SECRET_STRIPE", Secret), ("WEBHOOK_PRESET_STRIPE", "stripe")));
        Assert.Contains("WEBHOOK_SECRET_<PROVIDER>", table, StringComparison.Ordinal);
        Assert.Contains("(secret, set)", table, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, table, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, Read(("WEBHOOK_SECRET_STRIPE", Secret)).Settings!.Providers.Find(ProviderName.Parse("stripe"))!.ToString(), StringComparison.Ordinal);
    }

    private static (Settings? Settings, IReadOnlyList<string> Errors) Read(params (string, string)[] pairs) => Settings.Read(Configuration(pairs), "Development");

    private static IConfiguration Configuration(params (string, string)[] pairs) =>
        new ConfigurationBuilder().AddInMemoryCollection(pairs.Select(p => KeyValuePair.Create<string, string?>(p.Item1, p.Item2))).Build();
}
