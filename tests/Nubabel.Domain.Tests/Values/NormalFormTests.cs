namespace Nubabel.Domain.Tests.Values;

public sealed class NormalFormTests
{
    [Fact]
    public void Texts_are_really_normalised_here() => Assert.True(Text.IsNormalising);

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("", "")]
    [InlineData("e\u0301", "\u00E9")]
    [InlineData("\u212B", "\u00C5")] // Ångström sign
    [InlineData("\u0344", "\u0308\u0301")] // decomposes and never composes again
    [InlineData("\u1E9B\u0323", "\u1E9B\u0323")] // UAX #15's own example: the dot below does not compose with the long s
    [InlineData("q\u0307\u0323", "q\u0323\u0307")] // ordered by class
    [InlineData("d\u0307\u0323", "\u1E0D\u0307")] // ordered first, then composed
    [InlineData("a\u0301\u0300", "\u00E1\u0300")] // marks of one class keep their order, the first blocks the second
    [InlineData("a\u0315\u0300\u05AE\u0300\u0062", "\u00E0\u05AE\u0300\u0315\u0062")] // NormalizationTest.txt, part 3
    [InlineData("\u1100\u1161\u11A8", "\uAC01")] // Hangul from its parts
    [InlineData("\uAC00\u11A8", "\uAC01")]
    [InlineData("\uAC00\u11A7", "\uAC00\u11A7")] // the filler is no final consonant
    [InlineData("\uAC01\u11A8", "\uAC01\u11A8")] // nor has a syllable two of them
    [InlineData("\u1100\u0300\u1161", "\u1100\u0300\u1161")] // a mark in between blocks
    [InlineData("\u0958", "\u0915\u093C")] // excluded from composition
    [InlineData("\u2ADC", "\u2ADD\u0338")]
    [InlineData("\U0001D15E", "\U0001D157\U0001D165")] // a musical note, beyond the first plane
    [InlineData("\U00011099\U000110BA", "\U0001109A")]
    [InlineData("\u0301", "\u0301")] // a mark without a letter
    [InlineData("\u09C7\u09BE", "\u09CB")] // two starters compose
    [InlineData("\uFB01", "\uFB01")] // a ligature is compatible, not canonical
    public void Texts_are_composed(string text, string expected) => Assert.Equal(expected, text.Normalize());
}
