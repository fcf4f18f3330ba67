using System.Text.Json;
using Nubabel.Domain.Flags;
using Nubabel.Projections;

namespace Nubabel.Domain.Tests.Flags;

public sealed class FlagValueTests
{
    [Theory]
    [InlineData("a")]
    [InlineData("0")]
    [InlineData("dark-mode")]
    [InlineData("billing.v2_beta--x")]
    public void A_key_is_taken_as_written(string text) => Assert.Equal(text, FlagKey.Parse(text).Value);

    [Theory]
    [InlineData("")]
    [InlineData("Dark")]
    [InlineData("-a")]
    [InlineData(".a")]
    [InlineData("_a")]
    [InlineData("a b")]
    [InlineData("a\n")]
    [InlineData("ä")]
    [InlineData("a:b")]
    public void What_is_no_key_is_refused(string text) => Assert.Equal("flag.key_invalid", Assert.Throws<Refused>(() => FlagKey.Parse(text)).Code);

    [Fact]
    public void A_key_has_at_most_100_characters()
    {
        Assert.True(FlagKey.TryParse(new string('a', 100), out _));
        Assert.False(FlagKey.TryParse(new string('a', 101), out _));
    }

    [Theory]
    [InlineData("0", 0)]
    [InlineData("0.01", 1)]
    [InlineData("12.5", 1250)]
    [InlineData("12.50", 1250)]
    [InlineData("12.500", 1250)]
    [InlineData("1e1", 1000)]
    [InlineData("99.99", 9999)]
    [InlineData("100", 10_000)]
    public void A_percentage_has_two_decimals(string json, int hundredths)
    {
        var percentage = JsonSerializer.Deserialize<Percentage>(json, StoredJson.Options)!;
        Assert.Equal(hundredths, percentage.Hundredths);
        Assert.Equal(percentage, JsonSerializer.Deserialize<Percentage>(JsonSerializer.Serialize(percentage, StoredJson.Options), StoredJson.Options));
    }

    [Theory]
    [InlineData("-0.01")]
    [InlineData("100.01")]
    [InlineData("12.345")]
    [InlineData("1e30")]
    [InlineData("0.0000000000000000000000000000000000001")]
    [InlineData("12.5000000000000000000000000000000000001")]
    public void What_is_no_such_share_is_refused(string json) =>
        Assert.Equal("flag.percentage_invalid", ((Refused)Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<Percentage>(json, StoredJson.Options)).InnerException!).Code);

    [Fact]
    public void A_percentage_is_a_number() => Assert.IsNotType<Refused>(Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<Percentage>("\"5\"", StoredJson.Options)).InnerException);

    [Fact]
    public void A_description_is_a_line_or_nothing()
    {
        Assert.True(FlagDescription.Parse("  ").IsEmpty);
        Assert.Equal("flag.description_invalid", Assert.Throws<Refused>(() => FlagDescription.Parse("a\u0007b")).Code);
        Assert.False(FlagDescription.TryParse(new string('x', 501), out _));
    }
}
