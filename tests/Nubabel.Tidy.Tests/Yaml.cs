using YamlDotNet.RepresentationModel;

namespace Nubabel.Tidy.Tests;

/// <summary>A node of a YAML file, merge keys resolved. What is not there reads as empty, so that a test's own assertion says what is missing.</summary>
internal sealed record Yaml(YamlNode? Node)
{
    public static Yaml File(string path)
    {
        var stream = new YamlStream();
        using var reader = new StreamReader(path);
        stream.Load(reader);
        return new Yaml(stream.Documents[0].RootNode);
    }

    public Yaml this[string key] => Entries.FirstOrDefault(e => e.Key == key).Value ?? new Yaml((YamlNode?)null);

    public string Text => (Node as YamlScalarNode)?.Value ?? "";

    /// <summary>The members of a mapping, those of <c>&lt;&lt;</c> among them.</summary>
    public IEnumerable<KeyValuePair<string, Yaml>> Entries =>
        Node is not YamlMappingNode mapping ? []
        : mapping.Children.SelectMany(pair => pair.Key.ToString() == "<<" ? new Yaml(pair.Value).Entries : [new(pair.Key.ToString(), new Yaml(pair.Value))]);

    public IEnumerable<string> Keys => Entries.Select(e => e.Key);

    public IEnumerable<Yaml> Items => Node is YamlSequenceNode sequence ? sequence.Children.Select(c => new Yaml(c)) : [];

    public IEnumerable<string> Texts => Items.Select(i => i.Text);
}
