using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Devices;

/// <summary>
/// A device's public or push key, as the device wrote it: base64, base64url, PEM or a push service's token, in printable ASCII. It is
/// opaque here; whoever uses a key (the handshake, a push sender) knows which forms it takes, and a key that nobody can use harms only its owner.
/// </summary>
[JsonConverter(typeof(ValueConverter<PublicKey>))]
public sealed record PublicKey : IValue<PublicKey>
{
    public const int MaximumCharacters = 2048;

    private PublicKey(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>device.public_key_invalid</c>.</exception>
    public static PublicKey Parse(string text)
    {
        var key = text.Trim();
        // Line ends, because PEM has them.
        if (key.Length is 0 or > MaximumCharacters || key.Any(c => c is not ('\n' or '\r') && c is < ' ' or > '~'))
            throw new Refused(RefusalKind.Invalid, "device.public_key_invalid", $"A public key is 1 to {MaximumCharacters} printable ASCII characters.");
        return new PublicKey(key);
    }

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out PublicKey? key) => Attempt.Parse(text, out key);
    public override string ToString() => Value;
}
