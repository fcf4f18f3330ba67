using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Nubabel.Api.Host;
using Nubabel.Projections;

namespace Nubabel.Api.Tests.Host;

/// <summary>Entity tags, idempotency keys and positions: what a caller says about what it has seen and done.</summary>
public sealed class PreconditionTests
{
    private static HttpRequest Request(string name, params string[] values)
    {
        var context = new DefaultHttpContext();
        context.Request.Headers[name] = values;
        return context.Request;
    }

    [Theory]
    [InlineData("\"3\"", true)]
    [InlineData("*", true)]
    [InlineData("\"1\", \"3\"", true)]
    [InlineData("\"1\",\"2\"", false)]
    [InlineData("W/\"3\"", false)]
    [InlineData("\"03\"", false)]
    public void If_match_holds_for_the_very_version(string header, bool holds) => Assert.Equal(holds, ETags.IfMatch(Request("If-Match", header))!(3));

    [Fact]
    public void Nothing_that_does_not_exist_matches_a_star()
    {
        Assert.False(ETags.IfMatch(Request("If-Match", "*"))!(0));
        Assert.Null(ETags.IfMatch(new DefaultHttpContext().Request));
    }

    [Theory]
    [InlineData("3")]
    [InlineData("\"3")]
    [InlineData("")]
    [InlineData("*, \"3\"")]
    [InlineData("\"3\" \"4\"")]
    public void A_malformed_condition_is_not_ignored(string header) =>
        Assert.Equal("etag.invalid", Assert.Throws<Problem>(() => ETags.IfMatch(Request("If-Match", header))).Code);

    [Theory]
    [InlineData("\"3\"", true)]
    [InlineData("W/\"3\"", true)]
    [InlineData("*", true)]
    [InlineData("\"2\"", false)]
    [InlineData(null, false)]
    public void What_the_caller_has_is_not_sent_again(string? header, bool known)
    {
        var context = new DefaultHttpContext();
        if (header is not null) context.Request.Headers.IfNoneMatch = header;
        Assert.Equal(known, ETags.IsKnown(context, 3));
        Assert.Equal("\"3\"", context.Response.Headers.ETag);
    }

    [Fact]
    public async Task A_version_that_has_passed_is_412_with_the_current_one()
    {
        await using var probe = await Probe.Start(app => app.MapPut("/", string () => throw new VersionMismatch(7)));
        var answer = await probe.Http.PutAsync("/", null);
        await answer.IsProblem(412, "resource.version_mismatch");
        Assert.Equal("\"7\"", answer.Headers.ETag!.Tag);
    }

    [Theory]
    [InlineData("abc", "abc")]
    [InlineData("\"abc\"", "abc")]
    [InlineData("\"a\\\"b\\\\c\"", "a\"b\\c")]
    [InlineData("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324")]
    [InlineData("", null)]
    [InlineData("\"\"", null)]
    [InlineData("two words", null)]
    [InlineData("\"two words\"", null)]
    [InlineData("\"open", null)]
    [InlineData("\"a\"b", null)]
    [InlineData("\"a\";p=1", null)]
    [InlineData("\"a\\n\"", null)]
    [InlineData("\"a\\", null)]
    [InlineData("naïve", null)]
    public void A_key_is_the_same_bare_and_quoted(string header, string? key)
    {
        Assert.Equal(key, IdempotencyKeys.Parse(header));
        if (key is null) Assert.Equal("idempotency.key_invalid", Assert.Throws<Problem>(() => IdempotencyKeys.Of(Request("Idempotency-Key", header))).Code);
    }

    [Fact]
    public void A_key_has_at_most_255_characters_and_stands_once()
    {
        Assert.NotNull(IdempotencyKeys.Parse(new string('x', 255)));
        Assert.NotNull(IdempotencyKeys.Parse('"' + new string('x', 255) + '"'));
        Assert.Null(IdempotencyKeys.Parse(new string('x', 256)));
        Assert.Null(IdempotencyKeys.Parse(new(["a", "a"])));
        Assert.Null(IdempotencyKeys.Of(new DefaultHttpContext().Request));
    }

    [Fact]
    public void A_position_is_what_was_given_out()
    {
        Assert.Equal("main-00000000000000ff", Positions.Format("main", 255));
        foreach (var position in new[] { 0, 1, 255, long.MaxValue })
        {
            Assert.True(Positions.TryParse(Positions.Format("main", position), "main", out var read));
            Assert.Equal(position, read);
        }
        Assert.Equal(255, Positions.Minimum(Request("Nubabel-Min-Position", "main-00000000000000ff"), "main"));
        Assert.Null(Positions.Minimum(new DefaultHttpContext().Request, "main"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("255")]
    [InlineData("main-ff")]
    [InlineData("main-00000000000000FF")]
    [InlineData("main-ffffffffffffffff")]
    [InlineData("main_00000000000000ff")]
    [InlineData("other-00000000000000ff")]
    [InlineData("main-00000000000000ff0")]
    [InlineData("main- 0000000000000ff")]
    public void Anything_else_is_none(string text) =>
        Assert.Equal("position.invalid", Assert.Throws<Problem>(() => Positions.Minimum(Request("Nubabel-Min-Position", text), "main")).Code);
}
