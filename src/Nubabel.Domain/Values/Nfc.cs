namespace Nubabel.Domain;

internal static class Nfc
{
    public static string Normalize(string text) => text;
}
